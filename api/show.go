package api

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"example.com/orderly/events"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/reasons"
)

// besidePatience bounds asking another service for what an answer can do without.
const besidePatience = time.Second

type orderBody struct {
	ID         string      `json:"id"`
	State      string      `json:"state"`
	Reason     string      `json:"reason,omitempty"`
	Attention  string      `json:"attention,omitempty"`
	Lines      []lineBody  `json:"lines"`
	TotalMinor int64       `json:"total_minor"`
	Currency   string      `json:"currency"`
	CreatedAt  time.Time   `json:"created_at"`
	UpdatedAt  time.Time   `json:"updated_at"`
	Timeline   []eventBody `json:"timeline,omitzero"`
	Mails      []mailBody  `json:"mails,omitzero"`
}

type lineBody struct {
	SKU            string `json:"sku"`
	Name           string `json:"name"`
	Quantity       int64  `json:"quantity"`
	UnitPriceMinor int64  `json:"unit_price_minor"`
}

type eventBody struct {
	Type     string          `json:"type"`
	Source   string          `json:"source"`
	Sequence int64           `json:"sequence"`
	Time     time.Time       `json:"time"`
	Data     json.RawMessage `json:"data"`

	after time.Time
}

type mailBody struct {
	Template string    `json:"template"`
	SentAt   time.Time `json:"sent_at"`
}

// orderOf leaves out the payment method and what only an operator can act on.
func orderOf(o orders.Order) orderBody {
	body := orderBody{
		ID: o.ID, State: string(o.State), Reason: reasons.Told(o.Reason), Attention: string(o.Attention), Lines: make([]lineBody, len(o.Lines)),
		TotalMinor: o.Total.Minor, Currency: o.Total.Currency, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
	}
	for i, line := range o.Lines {
		body.Lines[i] = lineBody(line)
	}
	return body
}

func (a *API) showOrder(c *gin.Context, who login) error {
	ctx, x, id := c.Request.Context(), exchangeOf(c), c.Param("id")
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return fault.New(fault.NotFound, "order_not_found", "there is no such order")
	}
	x.about(id)
	order, err := a.cfg.Orders.GetOwned(ctx, who.userID, id)
	if err != nil {
		return err
	}
	body := orderOf(order)
	body.Timeline = beside(ctx, a, x, "timeline", func(ctx context.Context) ([]eventBody, error) {
		recorded, err := a.cfg.Timeline(ctx, id)
		return timelineOf(recorded), err
	})
	body.Mails = beside(ctx, a, x, "mails", func(ctx context.Context) ([]mailBody, error) {
		sent, err := a.cfg.Mails(ctx, id)
		mails := make([]mailBody, len(sent))
		for i, mail := range sent {
			mails[i] = mailBody{Template: mail.Template, SentAt: mail.At}
		}
		return mails, err
	})
	return answerKept(c, keptAndAsked, body)
}

// timelineOf sorts by time, which is the saga's order as far as clocks agree. One source's events keep their sequence even where
// its clock went back.
func timelineOf(recorded []events.Event) []eventBody {
	sorted := slices.Clone(recorded)
	slices.SortFunc(sorted, func(a, b events.Event) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Sequence, b.Sequence))
	})
	timeline := make([]eventBody, len(sorted))
	for i, e := range sorted {
		timeline[i] = eventBody{Type: e.Type, Source: e.Source, Sequence: e.Sequence, Time: e.Time, Data: dataFor(e), after: e.Time}
		if i > 0 && timeline[i-1].Source == e.Source && e.Time.Before(timeline[i-1].after) {
			timeline[i].after = timeline[i-1].after
		}
	}
	slices.SortStableFunc(timeline, func(a, b eventBody) int { return a.after.Compare(b.after) })
	return timeline
}

// beside asks for something that makes an answer better and whose absence does not make it wrong; nil where it does not come.
func beside[T any](ctx context.Context, a *API, x *exchange, what string, ask func(ctx context.Context) ([]T, error)) []T {
	ctx, cancel := context.WithTimeout(ctx, besidePatience)
	defer cancel()
	found, err := ask(ctx)
	if err != nil {
		a.log.Warn("answered without the "+what, "request_id", x.requestID, "order_id", x.orderID, "error", err)
		return nil
	}
	return found
}

type productBody struct {
	SKU        string `json:"sku"`
	Name       string `json:"name"`
	PriceMinor int64  `json:"price_minor"`
	Currency   string `json:"currency"`
	Available  *int64 `json:"available,omitempty"`
}

func (a *API) products(c *gin.Context, _ login) error {
	ctx := c.Request.Context()
	listed, err := a.cfg.Orders.Products(ctx)
	if err != nil {
		return err
	}
	levels := beside(ctx, a, exchangeOf(c), "stock", a.cfg.Stock.Levels)
	available := make(map[string]int64, len(levels))
	for _, level := range levels {
		available[level.SKU] = level.Available()
	}
	products := make([]productBody, len(listed))
	for i, p := range listed {
		products[i] = productBody{SKU: p.SKU, Name: p.Name, PriceMinor: p.PriceMinor, Currency: p.Currency}
		if left, counted := available[p.SKU]; counted {
			products[i].Available = &left
		}
	}
	return answerKept(c, keptBriefly, struct {
		Products []productBody `json:"products"`
	}{products})
}
