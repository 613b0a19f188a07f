package listen

import "time"

// SetOwnClock has the inbox take now for the clock of its process.
func (in *Inbox) SetOwnClock(now func() time.Time) { in.db.SetOwnClock(now) }
