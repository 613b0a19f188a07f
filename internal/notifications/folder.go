package notifications

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// folder is the Sender for machines without a mail server.
type folder struct{ dir string }

// Folder returns the sender that writes each message as an .eml file into dir, which is made when missing.
func Folder(dir string) (Sender, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for mails: %w", err)
	}
	return &folder{dir: dir}, nil
}

// Send writes <Message-ID>.eml. The same message again replaces the file; a reader finds a whole one or none; nil means it is
// on disk.
func (f *folder) Send(_ context.Context, m Message) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write mail %s: %w", m.ID, err)
		}
	}()
	file, err := os.CreateTemp(f.dir, ".mail-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = m.MIME().WriteTo(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(f.dir, url.PathEscape(m.ID)+".eml")); err != nil {
		return err
	}
	return syncFolder(f.dir)
}

// syncFolder makes the names in a folder as durable as the files.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
