package smtp_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications/smtp"
)

// What is taken is usable, and an error never quotes what an @ shows to be part of a login.
func FuzzParse(f *testing.F) {
	const secret = "Xy7-Qz9"
	for _, around := range [][2]string{
		{"smtp://user:", "@mail.example.com:587?tls=required"}, {"smtps://user:", "@[::1]:465"}, {"smtp://u:p@h?", "@x=1"}, {"smtp://u:p@h/", "@x"},
		{"smtp://u:", "?a=b@host"}, {"smtp://u:p@", ""}, {"smtp://u:%", "@h"}, {"", ""}, {"smtp://::1:25?hello=", ""}, {"smtp://h?ca=", "&tls=none"},
		{"smtp://bücher.example?auth=", ""}, {"smtp://h?tls=", "@"},
	} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		s, err := smtp.Parse(before + secret + after)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			if strings.Contains(after, "@") {
				require.NotContains(t, err.Error(), secret)
			}
			return
		}
		require.NotEmpty(t, s.Host)
		require.True(t, s.Port >= 1 && s.Port <= 65535)
		require.Equal(t, s.User == "", s.Password == "")
		require.Contains(t, []smtp.Encryption{
			smtp.Immediate, smtp.ImmediateInsecure, smtp.Offered, smtp.Required, smtp.Opportunistic, smtp.Insecure, smtp.None,
		}, s.Encryption)
		for _, text := range []string{s.Host, s.Hello} {
			require.False(t, strings.ContainsAny(text, " \r\n\x00"), "%q", text)
		}
	})
}
