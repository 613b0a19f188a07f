// Package notifications mails customers about their orders and greets new ones. It is a listener: it knows only what events
// say, so nothing that was rolled back is ever mailed.
package notifications
