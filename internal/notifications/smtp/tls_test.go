package smtp_test

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/notifications/smtp"
	"example.com/orderly/internal/notifications/smtp/smtptest"
)

// own is a certificate for example.com that no machine believes by itself, and the file that a URL names to believe it.
func own(t *testing.T) (certificates []tls.Certificate, ca string) {
	t.Helper()
	https := httptest.NewUnstartedServer(nil)
	https.StartTLS()
	t.Cleanup(https.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, block, 0o600))
	return https.TLS.Certificates, ca
}

// Which settings encrypt, what they believe, and where a password goes. CA in a URL stands for the file.
func TestHowAConnectionIsEncrypted(t *testing.T) {
	t.Parallel()
	certificates, ca := own(t)
	good := &tls.Config{Certificates: certificates}
	old := &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	const (
		secretly = "the mail, encrypted"
		openly   = "the mail, in the clear"
		at       = "smtp://example.com"
		login    = "smtp://shop:s3%3Acret%2F@example.com"
	)
	for name, c := range map[string]struct {
		url    string
		offers string
		secure *tls.Config
		says   string // to STARTTLS, if not the usual
		want   string // or what the error says
	}{
		"as offered, certificate of a known authority":      {at + "?ca=CA", "STARTTLS", good, "", secretly},
		"as offered, not offered":                           {at, "", nil, "", openly},
		"as offered, certificate of an unknown authority":   {at, "STARTTLS", good, "", "certificate signed by unknown authority: where its certificate is of your own authority, name the authority's with ca=FILE"},
		"as offered, certificate of another server":         {"smtp://mail.example.net?ca=CA", "STARTTLS", good, "", "certificate is valid for"},
		"as offered, TLS is too old":                        {at + "?ca=CA", "STARTTLS", old, "", "TLS: "},
		"as offered, not available now":                     {at, "STARTTLS", good, "454 4.7.0 TLS not available", "STARTTLS: the server answered"},
		"named as offered":                                  {at + "?tls=offered", "STARTTLS", good, "", "certificate"},
		"required, known authority":                         {at + "?tls=required&ca=CA", "STARTTLS", good, "", secretly},
		"required, unknown authority":                       {at + "?tls=required", "STARTTLS", good, "", "certificate"},
		"required, not offered":                             {at + "?tls=required", "", nil, "", "STARTTLS: the server offers no TLS, and SMTP_URL says tls=required"},
		"required on this machine, too":                     {"smtp://localhost?tls=required", "", nil, "", "offers no TLS"},
		"opportunistic, unknown authority":                  {at + "?tls=opportunistic", "STARTTLS", good, "", secretly},
		"opportunistic, not offered":                        {at + "?tls=opportunistic", "", nil, "", openly},
		"opportunistic, TLS is too old":                     {at + "?tls=opportunistic", "STARTTLS", old, "", openly},
		"opportunistic, not available now":                  {at + "?tls=opportunistic", "STARTTLS", good, "454 4.7.0 TLS not available", openly},
		"insecure, unknown authority":                       {at + "?tls=insecure", "STARTTLS", good, "", secretly},
		"insecure, not offered":                             {at + "?tls=insecure", "", nil, "", "offers no TLS, and SMTP_URL says tls=insecure"},
		"none, though offered":                              {at + "?tls=none", "STARTTLS", good, "", openly},
		"this machine is not encrypted to":                  {"smtp://localhost", "STARTTLS", good, "", openly},
		"password, encrypted":                               {login + "?ca=CA", "STARTTLS AUTH_PLAIN_LOGIN", good, "", secretly},
		"password, any certificate":                         {login + "?tls=insecure", "STARTTLS AUTH_PLAIN", good, "", secretly},
		"password, opportunistic":                           {login + "?tls=opportunistic", "STARTTLS AUTH_PLAIN", good, "", secretly},
		"password, opportunistic, but TLS fails":            {login + "?tls=opportunistic", "STARTTLS AUTH_PLAIN", old, "", "AUTH: the password would go over an unencrypted connection"},
		"password, PLAIN in the clear":                      {login, "AUTH_PLAIN", nil, "", "AUTH: the password would go over an unencrypted connection: the server must offer TLS, or SMTP_URL must say auth=cleartext"},
		"password, LOGIN in the clear":                      {login, "AUTH_LOGIN", nil, "", "AUTH: the password would go over an unencrypted connection"},
		"password, in the clear on purpose":                 {login + "?auth=cleartext", "AUTH_PLAIN", nil, "", openly},
		"password, in the clear on purpose, though TLS":     {login + "?tls=none&auth=cleartext", "STARTTLS AUTH_PLAIN", good, "", openly},
		"password, certificate not believed":                {login + "?auth=cleartext", "STARTTLS AUTH_PLAIN", good, "", "certificate"},
		"password, in the clear on this machine":            {"smtp://shop:s3%3Acret%2F@[::1]", "STARTTLS AUTH_PLAIN", nil, "", openly},
		"password, no login is offered":                     {login, "", nil, "", "AUTH: SMTP_URL has a user, and the server offers no login of a kind that we know"},
		"password, a login of another kind":                 {login, "AUTH_GSSAPI_XOAUTH2", nil, "", `that we know ("GSSAPI XOAUTH2")`},
		"password, login only offered once it is encrypted": {login + "?tls=none", "STARTTLS", good, "", "see whether it wants another port, TLS or no login"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var offers []string
			for offer := range strings.FieldsSeq(c.offers) {
				offers = append(offers, strings.ReplaceAll(offer, "_", " "))
			}
			server := smtptest.New(t, offers...)
			server.Secure = c.secure
			server.Answer("STARTTLS", c.says)
			sender := client(t, strings.ReplaceAll(c.url, "CA", ca))
			smtp.Through(sender, server.Addr)
			err := sender.Send(t.Context(), message)
			requireLeft(t, server)
			withPassword := strings.Contains(server.Commands(), "password |shop|s3:cret/")
			if c.want != secretly && c.want != openly {
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), "s3")
				require.Empty(t, server.Mails())
				require.False(t, withPassword, "the password was sent")
				return
			}
			require.NoError(t, err)
			require.Len(t, server.Mails(), 1)
			require.Equal(t, strings.Contains(c.url, "shop:"), withPassword)
			begun := strings.LastIndex(server.Commands(), "EHLO ")
			require.Equal(t, c.want == secretly, strings.HasSuffix(server.Commands()[:begun], "encrypted\n"), server.Commands())
		})
	}
}

func TestTLSFromTheFirstByte(t *testing.T) {
	t.Parallel()
	certificates, ca := own(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates})
	require.NoError(t, err)
	server, clear := smtptest.Serve(t, listener, "AUTH PLAIN"), smtptest.New(t, "AUTH PLAIN")
	sending := func(url, addr string) error {
		sender := client(t, url)
		smtp.Through(sender, addr)
		return sender.Send(t.Context(), message)
	}
	require.NoError(t, sending("smtps://shop:s3cret@example.com?ca="+ca, server.Addr))
	require.NoError(t, sending("smtps://shop:s3cret@example.com?tls=insecure", server.Addr))
	require.Len(t, server.Mails(), 2)
	require.Equal(t, 2, strings.Count(server.Commands(), "password |shop|s3cret"))
	require.ErrorContains(t, sending("smtps://shop:s3cret@example.com", server.Addr), "TLS: tls: failed to verify certificate")
	require.ErrorContains(t, sending("smtps://shop:s3cret@mail.example.net?ca="+ca, server.Addr), "certificate is valid for")
	require.Len(t, server.Mails(), 2)

	err = sending("smtps://shop:s3cret@example.com?tls=insecure", clear.Addr)
	require.ErrorContains(t, err, "first record does not look like a TLS handshake: check host and port in SMTP_URL")
	f, _ := errors.AsType[*notifications.Failure](err)
	require.Equal(t, operator, f.Outcome)
	require.Empty(t, clear.Mails())
}

// An IPv6 address, with a zone or without, is an address like any other.
func TestAnIPv6Address(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	server := smtptest.Serve(t, listener)
	require.NoError(t, client(t, server.URL()).Send(t.Context(), message))
	require.NoError(t, client(t, strings.Replace(server.URL(), "[::1]", "[::1%25lo]", 1)).Send(t.Context(), message))
	require.Len(t, server.Mails(), 2)
}
