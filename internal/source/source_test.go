package source_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/source"
)

const proxies = "10.0.0.0/8, 192.0.2.7, 2001:db8:1::/48, ::ffff:172.16.0.0/108"

func TestTheSourceIsWhatTheLatestProxyWasCalledFrom(t *testing.T) {
	t.Parallel()
	trusted, err := source.ParseNetworks(proxies)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		peer    string
		headers []string
		want    string
	}{
		"no proxy":                           {"203.0.113.5:4711", nil, "203.0.113.5"},
		"a stranger's header":                {"203.0.113.5:4711", []string{"X-Forwarded-For: 1.2.3.4"}, "203.0.113.5"},
		"a stranger's standard header":       {"203.0.113.5:4711", []string{"Forwarded: for=1.2.3.4"}, "203.0.113.5"},
		"a stranger who claims to be one":    {"203.0.113.5:4711", []string{"X-Forwarded-For: 1.2.3.4, 10.0.0.1"}, "203.0.113.5"},
		"a proxy that says nothing":          {"10.0.0.1:4711", nil, "10.0.0.1"},
		"one proxy":                          {"10.0.0.1:4711", []string{"X-Forwarded-For: 203.0.113.5"}, "203.0.113.5"},
		"what the client wrote before it":    {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4, 203.0.113.5"}, "203.0.113.5"},
		"two proxies":                        {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4, 203.0.113.5, 192.0.2.7"}, "203.0.113.5"},
		"the client claims to be a proxy":    {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4, 10.9.9.9, 203.0.113.5"}, "203.0.113.5"},
		"lines in their order":               {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 203.0.113.5"}, "203.0.113.5"},
		"only proxies":                       {"10.0.0.1:4711", []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"garbage at the right":               {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4, what"}, "10.0.0.1"},
		"garbage behind a proxy":             {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4, what, 192.0.2.7"}, "192.0.2.7"},
		"garbage before the client":          {"10.0.0.1:4711", []string{"X-Forwarded-For: what, 203.0.113.5"}, "203.0.113.5"},
		"an empty header":                    {"10.0.0.1:4711", []string{"X-Forwarded-For: "}, "10.0.0.1"},
		"an empty element":                   {"10.0.0.1:4711", []string{"X-Forwarded-For: 203.0.113.5,"}, "10.0.0.1"},
		"a port":                             {"10.0.0.1:4711", []string{"X-Forwarded-For: 203.0.113.5:80"}, "203.0.113.5"},
		"a name":                             {"10.0.0.1:4711", []string{"X-Forwarded-For: localhost"}, "10.0.0.1"},
		"numbers that only C reads":          {"10.0.0.1:4711", []string{"X-Forwarded-For: 0x7f.1"}, "10.0.0.1"},
		"leading zeros":                      {"10.0.0.1:4711", []string{"X-Forwarded-For: 203.0.113.05"}, "10.0.0.1"},
		"IPv4 in IPv6":                       {"[::ffff:10.0.0.1]:4711", []string{"X-Forwarded-For: ::ffff:203.0.113.5"}, "203.0.113.5"},
		"IPv4 in IPv6 in hexadecimal":        {"10.0.0.1:4711", []string{"X-Forwarded-For: ::ffff:cb00:7105"}, "203.0.113.5"},
		"a network given as IPv6":            {"172.16.0.9:4711", []string{"X-Forwarded-For: 203.0.113.5"}, "203.0.113.5"},
		"IPv6":                               {"[2001:db8:9:8:7:6:5:4]:4711", nil, "2001:db8:9:8::/64"},
		"IPv6 of a proxy":                    {"[2001:db8:1::1]:4711", []string{"X-Forwarded-For: 2001:db8:9:8::4"}, "2001:db8:9:8::/64"},
		"IPv6 in brackets":                   {"10.0.0.1:4711", []string{"X-Forwarded-For: [2001:db8:9:8::4]:80"}, "2001:db8:9:8::/64"},
		"IPv6 in brackets without a port":    {"10.0.0.1:4711", []string{"X-Forwarded-For: [2001:db8:9:8::4]"}, "2001:db8:9:8::/64"},
		"an open bracket":                    {"10.0.0.1:4711", []string{"X-Forwarded-For: [2001:db8:9:8::4"}, "10.0.0.1"},
		"IPv4 in brackets":                   {"10.0.0.1:4711", []string{"X-Forwarded-For: [203.0.113.5]"}, "10.0.0.1"},
		"a zone":                             {"[fe80::1%eth0]:4711", nil, "fe80::/64"},
		"a zone in a header":                 {"10.0.0.1:4711", []string{"X-Forwarded-For: fe80::1%x"}, "fe80::/64"},
		"loopback of IPv6":                   {"[::1]:4711", nil, "::1"},
		"no address":                         {"@", []string{"X-Forwarded-For: 203.0.113.5"}, source.Unknown},
		"nothing":                            {"", nil, source.Unknown},
		"the standard header":                {"10.0.0.1:4711", []string{"Forwarded: for=203.0.113.5;proto=https;by=10.0.0.1"}, "203.0.113.5"},
		"its names in capitals":              {"10.0.0.1:4711", []string{"forwarded: For=203.0.113.5"}, "203.0.113.5"},
		"its quotes":                         {"10.0.0.1:4711", []string{`Forwarded: proto=https ; for="203.0.113.5:80"`}, "203.0.113.5"},
		"its IPv6":                           {"10.0.0.1:4711", []string{`Forwarded: for="[2001:db8:9:8::4]:80"`}, "2001:db8:9:8::/64"},
		"its way over two proxies":           {"10.0.0.1:4711", []string{"Forwarded: for=1.2.3.4, for=203.0.113.5", "Forwarded: for=192.0.2.7"}, "203.0.113.5"},
		"its unknown":                        {"10.0.0.1:4711", []string{"Forwarded: for=1.2.3.4, for=unknown"}, "10.0.0.1"},
		"its hidden names":                   {"10.0.0.1:4711", []string{"Forwarded: for=1.2.3.4, for=_secret"}, "10.0.0.1"},
		"its element without an address":     {"10.0.0.1:4711", []string{"Forwarded: for=1.2.3.4, proto=https"}, "10.0.0.1"},
		"an element with two":                {"10.0.0.1:4711", []string{"Forwarded: for=1.2.3.4;for=203.0.113.5"}, "10.0.0.1"},
		"a quote that the client left open":  {"10.0.0.1:4711", []string{`Forwarded: for="1.2.3.4, for=203.0.113.5`}, "203.0.113.5"},
		"an address in the name of the host": {"10.0.0.1:4711", []string{`Forwarded: for=203.0.113.5;host="x,for=6.6.6.6"`}, "10.0.0.1"},
		"the same with a parameter more":     {"10.0.0.1:4711", []string{`Forwarded: for=203.0.113.5;host="x,for=6.6.6.6;y=1"`}, "10.0.0.1"},
		"the same with quotes":               {"10.0.0.1:4711", []string{`Forwarded: for=203.0.113.5;host="x\",for=6.6.6.6;y=\"1"`}, "10.0.0.1"},
		"both that agree":                    {"10.0.0.1:4711", []string{"X-Forwarded-For: 203.0.113.5", "Forwarded: for=203.0.113.5"}, "203.0.113.5"},
		"both that do not":                   {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4", "Forwarded: for=203.0.113.5"}, source.Unknown},
		"other headers":                      {"10.0.0.1:4711", []string{"X-Real-IP: 1.2.3.4", "True-Client-IP: 1.2.3.4", "X-Client-IP: 1.2.3.4"}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for _, line := range c.headers {
				name, value, _ := strings.Cut(line, ": ")
				h.Add(name, value)
			}
			require.Equal(t, c.want, source.OfRequest(c.peer, h, trusted))
			if !strings.HasPrefix(name, "no") { // by default no header is believed
				require.Equal(t, source.OfRequest(c.peer, nil, nil), source.OfRequest(c.peer, h, nil))
			}
		})
	}
}

func TestNetworksThatAreNone(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"10.0.0.0/33", "proxy", "10.0.0.1:80", "0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "fe80::1%eth0", "10.0.0.1 10.0.0.2", "10.0.0.1-10.0.0.9"} {
		_, err := source.ParseNetworks("192.0.2.1," + wrong)
		require.ErrorContains(t, err, wrong)
	}
	none, err := source.ParseNetworks(" , ")
	require.NoError(t, err)
	require.Empty(t, none)
	require.False(t, none.ContainSource("10.0.0.1"))
}

func TestSourcesInNetworks(t *testing.T) {
	t.Parallel()
	networks, err := source.ParseNetworks("127.0.0.1, ::1, 2001:db8:1::/48, 2001:db8:2:3:4::/80")
	require.NoError(t, err)
	for of, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.2": false, "::1": true, "2001:db8:1:2::/64": true, "2001:db8:2:3::/64": false, source.Unknown: false, "": false,
	} {
		require.Equal(t, want, networks.ContainSource(of), of)
	}
}

func TestTheNetworkAroundASource(t *testing.T) {
	t.Parallel()
	for of, want := range map[string]string{
		"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2::/64": "2001:db8:1::/48", "::1": "::1", source.Unknown: source.Unknown, "": "",
	} {
		require.Equal(t, want, source.Network(of), of)
	}
}

// What a client sends before the last proxy's entry never becomes its source.
func FuzzHeaders(f *testing.F) {
	f.Add("1.2.3.4", "for=1.2.3.4")
	f.Add("10.0.0.1, ,", `for="[::1]:x`)
	f.Add("\x00,::ffff:1.2.3.4%z", `for=_a;host="x,`)
	trusted, err := source.ParseNetworks(proxies)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, listed, standard string) {
		peer := "10.0.0.1:4711"
		appended := func(sent, by string) []string { return []string{sent + ", " + by} }
		require.Equal(t, "203.0.113.5", source.OfRequest(peer, http.Header{"X-Forwarded-For": appended(listed, "203.0.113.5")}, trusted))
		require.Equal(t, "203.0.113.5", source.OfRequest(peer, http.Header{"Forwarded": appended(standard, "for=203.0.113.5")}, trusted))
		both := source.OfRequest(peer, http.Header{"X-Forwarded-For": appended(listed, "203.0.113.5"), "Forwarded": {standard}}, trusted)
		require.Contains(t, []string{"203.0.113.5", source.Unknown}, both)

		given := source.OfRequest(peer, http.Header{"X-Forwarded-For": {listed}, "Forwarded": {standard}}, trusted)
		if given == source.Unknown {
			return
		}
		if addr, err := netip.ParseAddr(given); err != nil || addr.Is4In6() || addr.Zone() != "" {
			network, err := netip.ParsePrefix(given)
			require.NoError(t, err, "%q is no source", given)
			require.Equal(t, 64, network.Bits())
		}
		require.Equal(t, "203.0.113.9", source.OfRequest("203.0.113.9:1", http.Header{"X-Forwarded-For": {listed}, "Forwarded": {standard}}, trusted))
	})
}
