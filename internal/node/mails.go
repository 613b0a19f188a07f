package node

import (
	"fmt"
	"net/mail"
	"path/filepath"

	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/notifications/smtp"
)

// openSender chooses how mails leave, over SMTP or into a folder, and says whom they come from.
func openSender(p process) (sender notifications.Sender, from mail.Address, err error) {
	if from, err = notifications.ParseFrom(p.cfg.MailFrom); err != nil {
		return nil, from, fmt.Errorf("ORDERLY_MAIL_FROM is malformed: %w", err)
	}
	if p.cfg.SMTPURL != "" {
		if sender, err = smtp.New(p.cfg.SMTPURL); err != nil {
			return nil, from, fmt.Errorf("SMTP_URL is malformed: %w", err)
		}
		return sender, from, nil
	}
	folder := filepath.Join(p.cfg.Data, "mails")
	if !p.develop {
		p.say("Mails are not sent but written to " + folder + ": SMTP_URL is not set.")
	}
	sender, err = notifications.Folder(folder)
	return sender, from, err
}
