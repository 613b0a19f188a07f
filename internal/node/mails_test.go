package node

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/notifications/smtp/smtptest"
)

// What is wrong with the settings of mails is one line that names the variable and not the password, in each kind of process.
func TestASettingOfMailsThatCannotBeUsed(t *testing.T) {
	for variable, values := range map[string]map[string]string{
		"SMTP_URL": {
			"smtp://shop:50%s3cret@mail":   "SMTP_URL is malformed: it cannot be read: percent-encode what is special in user and password",
			"mail.example.com:25":          "SMTP_URL is malformed: it must be a URL that starts with smtp:// or smtps://",
			"smtp://mail?starttls=yes":     `SMTP_URL is malformed: there is no parameter "starttls": there are tls, ca, auth and hello`,
			"smtp://shop:s3cret@mail:0":    "SMTP_URL is malformed: the port must be a number from 1 to 65535",
			"smtps://shop@mail?tls=always": "SMTP_URL is malformed: a login needs a user and a password",
		},
		"ORDERLY_MAIL_FROM": {
			"the shop": `ORDERLY_MAIL_FROM is malformed: mails cannot come from "the shop"`,
		},
	} {
		for value, want := range values {
			t.Run(value, func(t *testing.T) {
				t.Setenv(variable, value)
				_, err := FromEnvironment()
				require.ErrorContains(t, err, want)
				require.NotContains(t, err.Error(), "s3cret")
				require.Zero(t, strings.Count(err.Error(), "\n"))
			})
		}
	}
}

// A file that the URL names is looked for by the process that sends mails.
func TestAFileWithCertificatesThatIsMissing(t *testing.T) {
	t.Parallel()
	cfg := config.Config{MailFrom: "shop@example.com", SMTPURL: "smtp://mail?ca=/nowhere/ca.pem"}
	_, _, err := openSender(t.Context(), newProcess(cfg, false, slog.New(slog.DiscardHandler), func(string) {}))
	require.EqualError(t, err, "SMTP_URL: ca: open /nowhere/ca.pem: no such file or directory")
}

// A login that is refused shows at the start, and keeps nothing else of the process from working.
func TestAMailServerThatRefusesUsIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	server := smtptest.New(t, "AUTH PLAIN")
	server.Answer("AUTH", "535 5.7.8 no")
	var said []string
	cfg := config.Config{MailFrom: "shop@example.com", SMTPURL: "smtp://shop:s3cret@" + server.Addr}
	_, _, err := openSender(t.Context(), newProcess(cfg, false, slog.New(slog.DiscardHandler), func(line string) { said = append(said, line) }))
	require.NoError(t, err)
	require.Equal(t, []string{`Mails wait until the mail server takes them (SMTP_URL): AUTH: the server answered 535 5.7.8 (no): ` +
		`the server refuses the login: check user and password in SMTP_URL`}, said)
}
