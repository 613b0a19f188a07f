package notifications

import (
	"context"
	"time"
)

// SendTimeout is how long a Sender may take over one message.
const SendTimeout = 55 * time.Second

// Sender hands a message over. Nil means it was accepted. The same message may come again, under the same ID. An error has a
// *Failure in it that says what it means; one that has none is followed by another attempt. Errors are logged and stored: they must
// not quote the recipient.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Outcome is what became of an attempt to hand over a mail.
type Outcome string

const (
	// Taken: the mail was accepted.
	Taken Outcome = "taken"
	// Recipient: refused for good, and because of the recipient alone. There is no further attempt.
	Recipient Outcome = "recipient"
	// Later: not now. Another attempt may succeed, and nothing has to be mended here.
	Later Outcome = "later"
	// Operator: refused because of our settings, our sender or our rights. A person has to mend that; meanwhile it is tried again.
	Operator Outcome = "operator"
)

// Failure is why a mail was not accepted.
type Failure struct {
	Outcome Outcome
	// Doubtful says that the whole mail was handed over and no answer came: the recipient may have it.
	Doubtful bool
	Err      error
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }
