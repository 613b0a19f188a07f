// Package system tells systems apart. A system is one set of databases, each of which bears the same random id. What else it uses
// and could share by mistake (a namespace of Temporal, a prefix in RabbitMQ or Redis) bears that id, too, and serves no other system.
package system

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// ID names a system; empty where none is known.
type ID string

// NewID returns a random id: 16 lower-case letters and digits. RabbitMQ shows it in texts of at most 255 bytes, beside its prefix.
func NewID() ID { return ID(strings.ToLower(rand.Text()[:16])) }

// OtherError says that a place outside the databases bears the id of another system. Waiting does not mend it.
type OtherError struct {
	// Place is what it is and where, with the variable that names it.
	Place string
	// Bears is the id there; empty where the place is taken and does not say by which system.
	Bears ID
	// Ours is the id of this process's databases.
	Ours ID
	// Remedy is how this system gets a place of its own, as a clause in the imperative.
	Remedy string
}

func (e *OtherError) Error() string {
	if e.Bears == "" {
		return fmt.Sprintf("%s is taken by what is not Orderly, and can't serve system %s, to which these databases belong: %s", e.Place, e.Ours, e.Remedy)
	}
	return fmt.Sprintf("%s serves system %s, and these databases belong to system %s: %s; if %[2]s is no more (its databases were lost or "+
		"replaced), run orderly adopt", e.Place, e.Bears, e.Ours, e.Remedy)
}
