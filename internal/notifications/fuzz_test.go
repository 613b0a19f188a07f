package notifications

import (
	"bytes"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
)

// An address that is taken is one line, and reads as itself again.
func FuzzParseFrom(f *testing.F) {
	for _, from := range []string{
		"shop@example.com", "Mug & Ink <shop@example.com>", `"a\"b" <a@b>`, "a@bücher.example", "", "@", "<>", "a@b\r\nBcc: c@d", "=?utf-8?q?x?= <a@b>",
	} {
		f.Add(from)
	}
	f.Fuzz(func(t *testing.T, from string) {
		address, err := ParseFrom(from)
		if err != nil {
			return
		}
		require.True(t, IsASCII(address.Address), "%q", address.Address)
		require.NotContains(t, address.Address, "\n")
		require.NotContains(t, address.Address, "\r")
		require.NotEmpty(t, DomainOf(address))
		again, err := ParseFrom((&mail.Address{Address: address.Address}).String())
		require.NoError(t, err)
		require.Equal(t, address.Address, again.Address)
	})
}

// No name, address, order id or reason adds a header or a recipient to a mail.
func FuzzMail(f *testing.F) {
	f.Add("Ada Lovelace", "ada@example.com", "o-1", "out_of_stock")
	f.Add("Ada\r\nBcc: all@example.com", "ada@example.com>\r\nRCPT TO:<x@y", "o\r\n\r\nHi", "stolen_card")
	f.Add("{{.OrderID}}", `"a b"@example.com`, "{{", "=?utf-8?q?Bcc=3A?=")
	f.Add("\u202eevil\xff", "ö@bücher.example", "\x00", "")
	s := &Service{from: mail.Address{Name: "Mug & Ink", Address: "shop@example.com"}}
	f.Fuzz(func(t *testing.T, name, email, orderID, reason string) {
		event, err := events.New("orders", "o-1", 1, time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC),
			events.OrderRejected{OrderID: orderID, CustomerID: "ada", Reason: reason})
		require.NoError(t, err)
		kind, say, err := read(event)
		require.NoError(t, err)
		message, err := s.compose(kind, event, say, Address{Email: email, Name: name}, "example.com")
		if err != nil {
			require.NotContains(t, err.Error(), "@")
			return
		}
		require.True(t, message.To.Name == "" || utf8.ValidString(message.To.Name) && !strings.ContainsAny(message.To.Name, "\r\n@/<>"))
		var content bytes.Buffer
		_, err = message.MIME().WriteTo(&content)
		require.NoError(t, err)
		got, err := mail.ReadMessage(&content)
		require.NoError(t, err)
		require.Equal(t, []string{
			"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To",
		}, slices.Sorted(maps.Keys(got.Header)))
		to, err := got.Header.AddressList("To")
		require.NoError(t, err)
		require.Len(t, to, 1)
		require.Equal(t, message.To.Address, to[0].Address)
	})
}
