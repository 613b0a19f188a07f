// Package orders accepts orders and owns their state, from the price list to the end of each order. Stock and money belong to the
// services inventory and payments.
package orders

import (
	"embed"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/money"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/step"
)

// Service is the orders service.
type Service struct {
	db    *database.DB
	box   *outbox.Outbox
	ended *prometheus.CounterVec
}

// New returns the service on its outbox's database; reg may be nil.
func New(box *outbox.Outbox, reg prometheus.Registerer) *Service {
	return &Service{
		db: box.DB(), box: box,
		ended: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_orders_ended_total",
			Help: "Orders that reached their end, by end and reason.",
		}, []string{"state", "reason"}),
	}
}

//go:embed migrations/*.sql
var files embed.FS

// Migrations are all tables of the orders database.
func Migrations() []database.Migrations {
	return []database.Migrations{outbox.Migrations(), step.Migrations(), database.Embedded("orders", files)}
}

// State is where an order stands.
type State string

const (
	Pending   State = "pending"
	Confirmed State = "confirmed"
	// Completed: the money is captured, the stock is the customer's.
	Completed State = "completed"
	// Rejected: the business said no before the confirmation; no money is held, the stock is released.
	Rejected State = "rejected"
	// Cancelled: it was called off before the confirmation; no money is held, the stock is released.
	Cancelled State = "cancelled"
	// Reversed: it was confirmed and could not be finished; no money is kept, the stock is released.
	Reversed State = "reversed"
)

// States are all states there are.
func States() []State { return []State{Pending, Confirmed, Completed, Rejected, Cancelled, Reversed} }

// Ends is the table of ends: the one state each end is reached from. An end is reached once and never left.
var Ends = map[State]State{Completed: Confirmed, Rejected: Pending, Cancelled: Pending, Reversed: Confirmed}

// Ended reports whether s is one of the four ends.
func (s State) Ended() bool { _, ok := Ends[s]; return ok }

// Attention is what an operator should know of an open order.
type Attention string

const (
	// NoAttention: the saga moves.
	NoAttention Attention = ""
	// Stalled: a step keeps failing for minutes; it is being retried.
	Stalled Attention = "stalled"
	// Parked: a step has outlived its patience, or failed in a way that retrying does not mend; it is being retried slowly.
	Parked Attention = "parked"
)

// Order is one order as it stands.
type Order struct {
	ID              string
	CustomerID      string
	State           State
	Reason          string
	Total           money.Money
	PaymentMethod   string
	Attention       Attention
	AttentionStep   string
	AttentionReason string
	AttentionAt     time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time
	Lines           []Line
}

// Line is one line of an order, with the name and price it was accepted at.
type Line struct {
	SKU            string `db:"sku"`
	Name           string `db:"name"`
	Quantity       int64  `db:"quantity"`
	UnitPriceMinor int64  `db:"unit_price_minor"`
}
