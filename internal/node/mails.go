package node

import (
	"context"
	"fmt"
	"net/mail"
	"path/filepath"

	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/notifications/smtp"
)

// mailSettings reads the settings of mails. The error says which of them is malformed, and how it should look.
func mailSettings(cfg config.Config) (from mail.Address, server smtp.Settings, err error) {
	if from, err = notifications.ParseFrom(cfg.MailFrom); err != nil {
		return from, server, fmt.Errorf("ORDERLY_MAIL_FROM is malformed: %w", err)
	}
	if cfg.SMTPURL != "" {
		if server, err = smtp.Parse(cfg.SMTPURL); err != nil {
			return from, server, fmt.Errorf("SMTP_URL is malformed: %w", err)
		}
	}
	return from, server, nil
}

// openSender chooses how mails leave, over SMTP or into a folder, and says whom they come from.
func openSender(ctx context.Context, p process) (sender notifications.Sender, from mail.Address, err error) {
	from, settings, err := mailSettings(p.cfg)
	if err != nil {
		return nil, from, err
	}
	if p.cfg.SMTPURL == "" {
		folder := filepath.Join(p.cfg.Data, "mails")
		if !p.develop {
			p.say("Mails are not sent but written to " + folder + ": SMTP_URL is not set.")
		}
		sender, err = notifications.Folder(folder)
		return sender, from, err
	}
	server, err := smtp.New(settings, notifications.DomainOf(from))
	if err != nil {
		return nil, from, fmt.Errorf("SMTP_URL: %w", err)
	}
	if err := lifecycle.Briefly(ctx, server.Check); err != nil && ctx.Err() == nil {
		p.say("Mails wait until the mail server takes them (SMTP_URL): " + err.Error())
	}
	return server, from, nil
}
