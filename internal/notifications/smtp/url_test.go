package smtp_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications/smtp"
)

func TestWhatAURLSays(t *testing.T) {
	t.Parallel()
	plain := smtp.Settings{Host: "mail", Port: 25, Encryption: smtp.Offered}
	with := func(change func(s *smtp.Settings)) smtp.Settings {
		s := plain
		change(&s)
		return s
	}
	login := with(func(s *smtp.Settings) { s.User, s.Password = "shop", "s3cret" })
	for url, want := range map[string]smtp.Settings{
		"smtp://mail":                     plain,
		"smtp://mail/":                    plain,
		"smtp://mail:":                    plain,
		"smtp://mail:25\n":                plain,
		"smtp://mail:587":                 with(func(s *smtp.Settings) { s.Port = 587 }),
		"smtp://[::1]:25":                 with(func(s *smtp.Settings) { s.Host = "::1" }),
		"smtp://[fe80::1%25eth0]":         with(func(s *smtp.Settings) { s.Host = "fe80::1%eth0" }),
		"smtp://bücher.example":           with(func(s *smtp.Settings) { s.Host = "xn--bcher-kva.example" }),
		"smtps://mail":                    with(func(s *smtp.Settings) { s.Port, s.Encryption = 465, smtp.Immediate }),
		"smtps://mail?tls=insecure":       with(func(s *smtp.Settings) { s.Port, s.Encryption = 465, smtp.ImmediateInsecure }),
		"smtp://mail?tls=required":        with(func(s *smtp.Settings) { s.Encryption = smtp.Required }),
		"smtp://mail/?tls=opportunistic":  with(func(s *smtp.Settings) { s.Encryption = smtp.Opportunistic }),
		"smtp://mail?tls=insecure":        with(func(s *smtp.Settings) { s.Encryption = smtp.Insecure }),
		"smtp://mail?tls=none":            with(func(s *smtp.Settings) { s.Encryption = smtp.None }),
		"smtp://mail?tls=offered":         plain,
		"smtp://mail?ca=/etc/own%20ca":    with(func(s *smtp.Settings) { s.CA = "/etc/own ca" }),
		"smtp://shop:s3cret@mail":         login,
		"smtp://sh%40p:%25%23%2F%3F@mail": with(func(s *smtp.Settings) { s.User, s.Password = "sh@p", "%#/?" }),
		"smtp://shop@example.com:a@b@mail": with(func(s *smtp.Settings) {
			s.User, s.Password = "shop@example.com", "a@b" // as Go reads it, and others do
		}),
		"smtp://shop:p%C3%A4ss+w:rd@mail":        with(func(s *smtp.Settings) { s.User, s.Password = "shop", "päss+w:rd" }),
		"smtp://mail?hello=a.example":            with(func(s *smtp.Settings) { s.Hello = "a.example" }),
		"smtp://shop:s3cret@mail?auth=cleartext": with(func(s *smtp.Settings) { s.User, s.Password, s.Cleartext = "shop", "s3cret", true }),
	} {
		got, err := smtp.Parse(url)
		require.NoError(t, err, url)
		require.Equal(t, want, got, url)
	}
}

// Each bad value is one line that says how it should be, without the password.
func TestAURLThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const (
		scheme  = "it must be a URL that starts with smtp:// or smtps://, such as smtp://user:password@mail.example.com:587"
		port    = "the port must be a number from 1 to 65535"
		percent = "percent-encode what is special in user and password: % as %25, / as %2F, ? as %3F, # as %23, @ as %40, : as %3A, a space as %20"
		encode  = "it cannot be read: " + percent
		apart   = "user and password cannot be told from the rest: " + percent
		login   = "a login needs a user and a password: smtp://user:password@mail.example.com:587"
		hello   = "hello must be a domain such as mail.example.com, or an address in brackets such as [192.0.2.1]"
		unread  = "host and port cannot be read: they must be like mail.example.com:587, the port a number from 1 to 65535; and " + percent
		tls     = "tls must be one of offered, required, opportunistic, insecure and none (with smtps:// only insecure)"
	)
	for url, want := range map[string]string{
		"":                                       scheme,
		"mail:25":                                scheme,
		"mail.example.com":                       scheme,
		"http://shop:s3cret@mail":                scheme,
		"SMTP://mail":                            scheme,
		"smtp://":                                "it names no host: smtp://mail.example.com:25",
		"smtp://bü_cher.example":                 "its host is no domain: smtp://mail.example.com:25",
		"smtp://shop:s3cret@":                    "it names no host: smtp://mail.example.com:25",
		"smtp://shop:s3cret@mail:port":           unread,
		"smtp://shop:s3cret":                     unread, // without a host the password would be a port
		"smtp://shop:s3cret@mail:70000":          port,
		"smtp://shop:s3cret@mail:0":              port,
		"smtp://::1:25":                          "an IPv6 address needs brackets: smtp://[::1]:25",
		"smtp://2001:db8::1":                     "an IPv6 address needs brackets: smtp://[::1]:25",
		"smtp://shop:50%off@mail":                encode,
		"smtp://shop:s3#cret@mail":               encode,
		"smtp://shop:s3/cret@mail":               encode,
		"smtp://shop:s3?cret@mail":               encode,
		"smtp://shop:s3 cret@mail":               encode,
		"smtp://shop:s3[cret@mail":               encode,
		"smtp://shop:12/3@mail":                  apart,
		"smtp://shop:12#3@mail":                  apart,
		"smtp://shop:12?3@mail":                  apart,
		"smtp://shop@mail":                       login,
		"smtp://shop:@mail":                      login,
		"smtp://:s3cret@mail":                    login,
		"smtp://mail/inbox":                      "after host and port only parameters may follow, as in smtp://mail.example.com:25?tls=required",
		"smtp://mail#a":                          "after host and port only parameters may follow, as in smtp://mail.example.com:25?tls=required",
		"smtp://mail?hello=our%20server":         hello,
		"smtp://mail?hello=-":                    hello,
		"smtp://mail?hello=a..b":                 hello,
		"smtp://mail?hello=[mail]":               hello,
		"smtp://mail?hello=a%0D%0AMAIL":          hello,
		"smtp://mail?tls=always":                 tls,
		"smtps://mail?tls=yes":                   tls,
		"smtp://mail?tls=immediate":              tls,
		"smtp://mail?tls":                        "the parameter tls has no value",
		"smtp://mail?tls=none&tls=required":      "the parameter tls is given more than once",
		"smtp://mail?starttls=true":              `there is no parameter "starttls": there are tls, ca, auth and hello`,
		"smtp://mail?TLS=none":                   `there is no parameter "TLS": there are tls, ca, auth and hello`,
		"smtp://mail?tls=%zz":                    "its parameters cannot be read: they must be like ?tls=required&ca=/etc/ssl/own-ca.pem",
		"smtps://mail?tls=none":                  "tls=none has no meaning with smtps://, which is always encrypted: leave it out, or use smtp://",
		"smtps://mail?tls=opportunistic":         "tls=opportunistic has no meaning with smtps://, which is always encrypted: leave it out, or use smtp://",
		"smtp://mail?tls=insecure&ca=/a":         "ca has no meaning where no certificate is checked: leave out ca, or have tls=required",
		"smtp://mail?tls=none&ca=/a":             "ca has no meaning where no certificate is checked: leave out ca, or have tls=required",
		"smtp://shop:s3cret@mail?auth=plaintext": "auth can only be cleartext, which lets the password go unencrypted; leave it out otherwise",
	} {
		_, err := smtp.Parse(url)
		require.EqualError(t, err, want, url)
	}
}

func TestAFileWithoutCertificates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	_, err := smtp.New(smtp.Settings{CA: path}, "example.com")
	require.EqualError(t, err, "ca: open "+path+": no such file or directory")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	_, err = smtp.New(smtp.Settings{CA: path}, "example.com")
	require.EqualError(t, err, "ca: "+path+" has no certificate in it: it must be in PEM form (-----BEGIN CERTIFICATE-----)")
}
