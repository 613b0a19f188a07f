package smtp

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/orderly/internal/notifications"
)

// Settings are what SMTP_URL says.
type Settings struct {
	Host           string
	Port           int
	Encryption     Encryption
	CA             string // file with the certificates to believe, in PEM; empty for those that this machine believes
	User, Password string // empty where the server wants no login
	// Cleartext allows the password to go over a connection that is not encrypted.
	Cleartext bool
	Hello     string // the name to give with EHLO; empty for the one of New
}

// Encryption is how a connection is encrypted.
type Encryption string

const (
	// Immediate is TLS from the first byte (smtps://). All others are of smtp://.
	Immediate Encryption = "immediate"
	// ImmediateInsecure is Immediate with any certificate.
	ImmediateInsecure Encryption = "immediate, insecure"
	// Offered begins TLS where the server offers it, except on this machine.
	Offered Encryption = "offered"
	// Required sends nothing without TLS.
	Required Encryption = "required"
	// Opportunistic begins TLS where the server offers it, with any certificate, and goes on in the clear where that fails.
	Opportunistic Encryption = "opportunistic"
	// Insecure sends nothing without TLS, and believes any certificate.
	Insecure Encryption = "insecure"
	// None never begins TLS.
	None Encryption = "none"
)

const percentEncode = "percent-encode what is special in user and password: % as %25, / as %2F, ? as %3F, # as %23, @ as %40, : as %3A, a space as %20"

// Parse reads smtp://[user:password@]host[:port][?parameter=value&...] (port 25) or smtps://... (port 465). The parameters are tls,
// ca, auth and hello. The error says in one line what is wrong and how it should be, and never quotes what may be part of a password.
func Parse(rawURL string) (Settings, error) {
	rawURL = strings.TrimSpace(rawURL) // a file that is mounted as a secret ends in a line break
	scheme, rest, _ := strings.Cut(rawURL, "://")
	s := Settings{Port: 25, Encryption: Offered}
	switch scheme {
	case "smtps":
		s.Port, s.Encryption = 465, Immediate
	case "smtp":
	default:
		return s, errors.New("it must be a URL that starts with smtp:// or smtps://, such as smtp://user:password@mail.example.com:587")
	}
	at, err := url.Parse(rawURL)
	if err != nil {
		return s, whyUnreadable(scheme, rest)
	}
	if at.User == nil && strings.Contains(rest, "@") {
		return s, errNoEndOfLogin
	}
	if s.Host = at.Hostname(); s.Host == "" {
		return s, errors.New("it names no host: smtp://mail.example.com:25")
	}
	if s.Host, err = notifications.ASCIIDomain(s.Host); err != nil {
		return s, errors.New("its host is no domain: smtp://mail.example.com:25")
	}
	if bareIPv6(at.Host) {
		return s, errBareIPv6
	}
	if port := at.Port(); port != "" {
		if s.Port, err = strconv.Atoi(port); err != nil || s.Port < 1 || s.Port > 65535 {
			return s, errors.New("the port must be a number from 1 to 65535")
		}
	}
	if (at.Path != "" && at.Path != "/") || at.Fragment != "" {
		return s, errors.New("after host and port only parameters may follow, as in smtp://mail.example.com:25?tls=required")
	}
	if at.User != nil {
		s.User = at.User.Username()
		s.Password, _ = at.User.Password()
		if s.User == "" || s.Password == "" {
			return s, errors.New("a login needs a user and a password: smtp://user:password@mail.example.com:587")
		}
	}
	return s, s.parameters(at.RawQuery)
}

var errNoEndOfLogin = errors.New("user and password cannot be told from the rest: " + percentEncode)

var errBareIPv6 = errors.New("an IPv6 address needs brackets: smtp://[::1]:25")

func bareIPv6(host string) bool { return strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") }

// whyUnreadable says why a URL cannot be parsed. The parser's own message may quote the password.
func whyUnreadable(scheme, rest string) error {
	host := rest[strings.LastIndex(rest, "@")+1:]
	if _, err := url.Parse(scheme + "://" + host); err == nil { // what comes before the host is at fault
		return errors.New("it cannot be read: " + percentEncode)
	}
	host, _, _ = strings.Cut(host, "/")
	if bareIPv6(host) {
		return errBareIPv6
	}
	return errors.New("host and port cannot be read: they must be like mail.example.com:587, the port a number from 1 to 65535; and " + percentEncode)
}

// parameters reads what follows the question mark.
func (s *Settings) parameters(query string) error {
	given, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("its parameters cannot be read: they must be like ?tls=required&ca=/etc/ssl/own-ca.pem")
	}
	for name, values := range given {
		if !slices.Contains([]string{"tls", "ca", "auth", "hello"}, name) {
			if strings.Contains(query, "@") {
				return errNoEndOfLogin // smtp://user:p@ss?word@host: the name is part of a password
			}
			return fmt.Errorf("there is no parameter %q: there are tls, ca, auth and hello", name)
		}
		if len(values) > 1 {
			return fmt.Errorf("the parameter %s is given more than once", name)
		}
		if values[0] == "" {
			return fmt.Errorf("the parameter %s has no value", name)
		}
	}
	if value := given.Get("tls"); value != "" {
		switch e := Encryption(value); e {
		case Insecure:
			if s.Encryption == Immediate {
				e = ImmediateInsecure
			}
			s.Encryption = e
		case Offered, Required, Opportunistic, None:
			if s.Encryption == Immediate {
				return fmt.Errorf("tls=%s has no meaning with smtps://, which is always encrypted: leave it out, or use smtp://", e)
			}
			s.Encryption = e
		default:
			return errors.New("tls must be one of offered, required, opportunistic, insecure and none (with smtps:// only insecure)")
		}
	}
	if s.CA = given.Get("ca"); s.CA != "" && !s.verifies() {
		return errors.New("ca has no meaning where no certificate is checked: leave out ca, or have tls=required")
	}
	if value := given.Get("auth"); value != "" {
		if value != "cleartext" {
			return errors.New("auth can only be cleartext, which lets the password go unencrypted; leave it out otherwise")
		}
		s.Cleartext = true
	}
	return s.greet(given.Get("hello"))
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// greet takes the name to give, which is a domain or an address in brackets.
func (s *Settings) greet(name string) (err error) {
	literal, isLiteral := strings.CutPrefix(name, "[")
	literal, closed := strings.CutSuffix(literal, "]")
	s.Hello, err = notifications.ASCIIDomain(name)
	switch {
	case name == "", isLiteral && closed && net.ParseIP(strings.TrimPrefix(literal, "IPv6:")) != nil, err == nil && hostName.MatchString(s.Hello):
		return nil
	default:
		return errors.New("hello must be a domain such as mail.example.com, or an address in brackets such as [192.0.2.1]")
	}
}

// verifies reports whether the server's certificate is checked.
func (s *Settings) verifies() bool {
	return s.Encryption == Immediate || s.Encryption == Offered || s.Encryption == Required
}
