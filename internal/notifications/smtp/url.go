package smtp

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

func parse(rawURL string) (*Server, error) {
	at, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("the mail server's URL cannot be read") // the parser's own message may quote the password
	}
	s := &Server{host: at.Hostname(), port: 25}
	switch {
	case at.Scheme == "smtps":
		s.port, s.tls = 465, true
	case at.Scheme != "smtp":
		return nil, errors.New("the mail server's URL must start with smtp:// or smtps://")
	}
	if s.host == "" {
		return nil, errors.New("the mail server's URL names no host")
	}
	if at.Port() != "" {
		if s.port, err = strconv.Atoi(at.Port()); err != nil || s.port < 1 || s.port > 65535 {
			return nil, fmt.Errorf("the mail server's URL: %q is not a port", at.Port())
		}
	}
	if (at.Path != "" && at.Path != "/") || at.RawQuery != "" || at.Fragment != "" {
		return nil, errors.New("the mail server's URL: nothing may follow the port")
	}
	s.user = at.User.Username()
	s.secret, _ = at.User.Password()
	return s, nil
}
