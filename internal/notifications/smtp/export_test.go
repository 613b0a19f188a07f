package smtp

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"example.com/orderly/internal/notifications"
)

// Through makes the server be at address instead of the host of its URL.
func Through(s *Server, address string) {
	s.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

// Hurry sets how long the talk before the end of a mail may take, and the answer to it.
func Hurry(s *Server, talk, answer time.Duration) { s.patience.talk, s.patience.answer = talk, answer }

// AnswersInMarkdown is the table of answers.
func AnswersInMarkdown() string {
	table := "| at | code | enhanced status code | what it means | what becomes of the mail |\n|---|---|---|---|---|\n"
	for _, a := range answers {
		at, code, status := "anywhere", a.code, "any, or none"
		if code == "xxx" {
			code = "other"
		}
		if len(a.at) > 0 {
			at = ""
			for i, one := range a.at {
				at += []string{"", ", "}[min(i, 1)] + string(one)
			}
		}
		if len(a.status) > 0 {
			status = strings.Join(a.status, ", ")
		}
		becomes := map[notifications.Outcome]string{
			notifications.Recipient: "given up", notifications.Later: "tried again", notifications.Operator: "tried again; a person is needed",
		}[a.outcome]
		table += fmt.Sprintf("| %s | %s | %s | %s | %s |\n", at, code, status, a.meaning, becomes)
	}
	return table
}
