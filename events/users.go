package events

// UserRegistered says that a customer has an account. Names and addresses are not in events: ask the users service.
type UserRegistered struct {
	UserID string `json:"user_id"`
}

// UserUpdated says that a customer's profile changed; Version is the profile's new version.
type UserUpdated struct {
	UserID  string `json:"user_id"`
	Version int64  `json:"version"`
}

// UserDeleted says that a customer is gone. Listeners must forget what they hold about them.
type UserDeleted struct {
	UserID string `json:"user_id"`
}

func (UserRegistered) EventType() string { return "user.registered.v1" }
func (UserUpdated) EventType() string    { return "user.updated.v1" }
func (UserDeleted) EventType() string    { return "user.deleted.v1" }
