// Package source says where a request comes from, for limits, log lines and rows that say who did something.
package source

import (
	"context"
	"net/netip"
)

// Unknown is the source of a request whose peer has no address that can be read, or whose headers disagree. All of them count as one.
const Unknown = "unknown"

// ipv6Bits is the part of an IPv6 address that is one customer's: providers hand out a /64 at least (RFC 6177), in which each device takes new
// addresses as it likes.
const ipv6Bits = 64

type key struct{}

// With returns a context of a request from the given source: an IPv4 address, or the /64 of an IPv6 address.
func With(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, key{}, address)
}

// Of is the source of ctx's request; empty outside of requests.
func Of(ctx context.Context) string {
	address, _ := ctx.Value(key{}).(string)
	return address
}

// neighbours are how many bits of an address those have in common that are likely to be one owner's: what one registry entry, one rented rack or one
// site has at least.
const (
	ipv4Neighbours = 24
	ipv6Neighbours = 48
)

// Network is the network around a source, by which a flood from many neighbouring sources can be told from others. A source that is no address is
// its own.
func Network(source string) string {
	if addr, err := netip.ParseAddr(source); err == nil && addr.Is4() {
		return netip.PrefixFrom(addr, ipv4Neighbours).Masked().String()
	}
	if whole, err := netip.ParsePrefix(source); err == nil {
		return netip.PrefixFrom(whole.Addr(), ipv6Neighbours).Masked().String()
	}
	return source
}

// named is the source with this address. A loopback address stays whole: ::1 has no neighbours in its /64.
func named(addr netip.Addr) string {
	addr = plain(addr)
	if addr.Is4() || addr.IsLoopback() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, ipv6Bits).Masked().String()
}

// plain is addr without a zone, which only means something to one host, and as IPv4 where it is an IPv4 address in IPv6 (RFC 4291, 2.5.5.2).
func plain(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }
