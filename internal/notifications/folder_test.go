package notifications_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
)

// A reader of the folder sees a whole mail each time, while the same one is written over and over.
func TestAReaderOfTheFolderNeverSeesHalfAMail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sender, err := notifications.Folder(dir)
	require.NoError(t, err)
	message := onSQLite(t).compose(completed("o-1", "ada"))
	message.Text += strings.Repeat("line\n", 20_000) + "end"
	path := filepath.Join(dir, message.ID+".eml")
	require.NoError(t, sender.Send(t.Context(), message))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)

	written := make(chan error, 1)
	go func() {
		for range 50 {
			if err := sender.Send(t.Context(), message); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for reads := 0; ; reads++ {
		select {
		case err := <-written:
			require.NoError(t, err)
			require.Positive(t, reads)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 1, "something was left behind")
			info, err := entries[0].Info()
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			return
		default:
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(whole, content), "half a mail was seen")
		}
	}
}

func TestAFolderThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	dir := filepath.Join(t.TempDir(), "mails")
	sender, err := notifications.Folder(dir)
	require.NoError(t, err)
	require.NoError(t, os.Remove(dir))
	event := completed("o-1", "ada")
	inbox, _ := w.run(w.service(sender), event)
	entry := w.reaches(inbox, event, "pending", 1)
	require.Contains(t, entry.Reason, "write mail orders.o-1.1@example.com")
	require.NoError(t, os.Mkdir(dir, 0o700))
	w.offset.Store(int64(time.Minute))
	w.reaches(inbox, event, "done", 1)

	_, err = notifications.Folder(filepath.Join(dir, "orders.o-1.1@example.com.eml"))
	require.ErrorContains(t, err, "make the folder for mails")
	_, err = notifications.ParseFrom("shop")
	require.ErrorContains(t, err, `mails cannot come from "shop"`)
}
