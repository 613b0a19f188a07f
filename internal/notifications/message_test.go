package notifications_test

import (
	"context"
	"maps"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/notifications"
)

// kept is a sender that only keeps what it is given.
type kept []notifications.Message

func (k *kept) Send(_ context.Context, m notifications.Message) error {
	*k = append(*k, m)
	return nil
}

func (w *world) compose(e events.Event) notifications.Message {
	w.t.Helper()
	var got kept
	_, err := w.service(&got).Listener().Effect(w.t.Context(), e)
	require.NoError(w.t, err)
	require.Len(w.t, got, 1)
	return got[0]
}

func TestANameNeverBecomesAHeaderOrAnotherAddress(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	for name, want := range map[string]string{
		"Ada\r\nBcc: all":                         "",
		"Ada\r\nX-Spam no":                        "Ada X-Spam no",
		"Ada\n\nSubject line":                     "Ada Subject line",
		"Ada\u2028Bcc\u2029all\u0085x":            "Ada Bcc all x",
		`Ada "the Countess" \ Lovelace`:           `Ada "the Countess" \ Lovelace`,
		"Ada, Bob, Eve":                           "Ada, Bob, Eve",
		"=?utf-8?q?Bcc=3A?=":                      "=?utf-8?q?Bcc=3A?=",
		"Žofie Łucja 李":                           "Žofie Łucja 李",
		"J. R. Smith":                             "J. R. Smith",
		"Ada \u202egnp.exe":                       "",
		"Ada\u202e evoL":                          "Ada evoL",
		"Ada\xff\x00":                             "Ada",
		"<b>Ada":                                  "",
		"win at www.example.net now":              "",
		"https evil/offer":                        "",
		strings.Repeat("very long name ", 5):      "",
		"   ":                                     "",
		"{{.OrderID}} {{template \"x\"}}":         "", // .O looks like a link
		"{{template}}":                            "{{template}}",
		"a@b, c@d":                                "",
		strings.Repeat("Ž", 60):                   strings.Repeat("Ž", 60),
		strings.Repeat("Subject line folded ", 3): "Subject line folded Subject line folded Subject line folded",
	} {
		t.Run(name, func(t *testing.T) {
			w.customers["ada"] = notifications.Address{Email: "ada@example.com", Name: name}
			sender, files := folder(t)
			_, err := w.service(sender).Listener().Effect(t.Context(), completed("o-1", "ada"))
			require.NoError(t, err)
			content := files()["orders.o-1.1@example.com.eml"]
			message, err := mail.ReadMessage(strings.NewReader(content))
			require.NoError(t, err)
			require.Equal(t, []string{
				"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To",
			}, slices.Sorted(maps.Keys(message.Header)))
			to, err := message.Header.AddressList("To")
			require.NoError(t, err)
			require.Equal(t, []*mail.Address{{Name: want, Address: "ada@example.com"}}, to)
			from, err := message.Header.AddressList("From")
			require.NoError(t, err)
			require.Equal(t, []*mail.Address{{Name: "Mug & Ink", Address: "shop@example.com"}}, from)

			greeting, _, _ := strings.Cut(w.compose(completed("o-1", "ada")).Text, "\n")
			if want != "" {
				want = " " + want
			}
			require.Equal(t, "Hello"+want+",", greeting)
			for line := range strings.Lines(content) {
				require.True(t, strings.HasSuffix(line, "\r\n"), "%q does not end as a mail's line", line)
				require.Less(t, len(line), 998)
			}
		})
	}
}

// What an order's id or the shop's name is made of must not get out of the subject either.
func TestTheSubjectIsOneLine(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	message := w.compose(about("o-1", events.OrderReversed{OrderID: "o-1\r\nBcc: all@example.com\r\n\r\nHi 李", CustomerID: "ada"}))
	require.Equal(t, "We could not finish your order o-1 Bcc: all@example.com Hi 李", message.Subject)
	sender, files := folder(t)
	require.NoError(t, sender.Send(t.Context(), message))
	read, err := mail.ReadMessage(strings.NewReader(files()["orders.o-1.1@example.com.eml"]))
	require.NoError(t, err)
	require.Empty(t, read.Header.Get("Bcc"))
	subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, message.Subject, subject)
}

func TestMessageIDsAreValidAndOnePerEvent(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	seen := map[string]string{}
	for _, id := range []string{
		"orders/01900000-0000-7000-8000-000000000000/3", "orders/a/1", "orders/a.1", "orders/a/11", "orders-a-1", "orders/a/1/",
		"orders//1", "orders/a b/1", "orders/<a@b>/1", "orders/ä/1", "../../etc/passwd", "orders/a\r\nBcc: x/1",
		strings.Repeat("a/", 300) + "1",
	} {
		event := completed("o-1", "ada")
		event.ID = id
		got := w.compose(event).ID
		require.Regexp(t, "^[A-Za-z0-9!#$%&'*+=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+=?^_`{|}~-]+)*@example.com$", got)
		require.Less(t, len(got+".eml"), 255)
		require.Empty(t, seen[got], "two events share %s", got)
		seen[got] = id
	}
	require.Contains(t, seen, "orders.01900000-0000-7000-8000-000000000000.3@example.com")
}
