package source

import (
	"fmt"
	"net/netip"
	"strings"
)

// Networks is a set of addresses. The zero value is empty.
type Networks []netip.Prefix

// ParseNetworks reads addresses and networks in CIDR notation, separated by commas. The error quotes the entry that is wrong.
func ParseNetworks(list string) (Networks, error) {
	var all Networks
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		network, err := parseNetwork(entry)
		if err != nil {
			return nil, err
		}
		all = append(all, network)
	}
	return all, nil
}

func parseNetwork(entry string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(entry); err == nil && addr.Zone() == "" {
		addr = plain(addr)
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(entry)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", entry)
	}
	if addr, bits := network.Addr(), network.Bits(); addr.Is4In6() && bits >= 96 {
		network = netip.PrefixFrom(addr.Unmap(), bits-96)
	}
	if network.Bits() == 0 {
		return netip.Prefix{}, fmt.Errorf("%q is every address there is: name the networks that are meant", entry)
	}
	return network.Masked(), nil
}

// Contain reports whether addr is in one of the networks.
func (n Networks) Contain(addr netip.Addr) bool {
	addr = plain(addr)
	for _, network := range n {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// ContainSource reports whether the source, as With takes it, lies in one of the networks as a whole.
func (n Networks) ContainSource(source string) bool {
	if addr, err := netip.ParseAddr(source); err == nil {
		return n.Contain(addr)
	}
	whole, err := netip.ParsePrefix(source)
	if err != nil {
		return false
	}
	for _, network := range n {
		if network.Bits() <= whole.Bits() && network.Contains(whole.Addr()) {
			return true
		}
	}
	return false
}
