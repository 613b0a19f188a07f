package node

import (
	"fmt"
	"path/filepath"

	"example.com/orderly/internal/notifications"
)

// openSender chooses how mails leave: over SMTP, or into a folder.
func openSender(p process) (sender notifications.Sender, err error) {
	if p.cfg.SMTPURL != "" {
		sender, err = notifications.SMTP(p.cfg.SMTPURL, p.cfg.MailFrom)
	} else {
		folder := filepath.Join(p.cfg.Data, "mails")
		if !p.develop {
			p.say("Mails are not sent but written to " + folder + ": SMTP_URL is not set.")
		}
		sender, err = notifications.Folder(folder, p.cfg.MailFrom)
	}
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL or ORDERLY_MAIL_FROM: %w", err)
	}
	return sender, nil
}
