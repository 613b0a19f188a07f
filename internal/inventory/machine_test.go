package inventory_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/step"
	"example.com/orderly/internal/testenv"
)

// model is what the stock must look like, kept beside it in plain variables.
type model struct {
	onHand, reserved map[string]int64
	// lines is what each order has reserved, by SKU; 0 once it was given back.
	lines map[string]map[string]int64
	// outcome is the recorded answer under a key: "yes", "undone", or the code of a no.
	outcome   map[string]string
	announced map[string][]string
}

func (m *model) reserve(r inventory.Reservation) (fault.Kind, string) {
	switch outcome := m.outcome[r.Key]; outcome {
	case "":
	case "yes":
		return "", ""
	case "undone":
		return fault.Conflict, step.CodeUndone
	default:
		return fault.Declined, outcome
	}
	wanted := map[string]int64{}
	for _, line := range r.Lines {
		wanted[line.SKU] += line.Quantity
	}
	for _, sku := range slices.Sorted(maps.Keys(wanted)) {
		onHand, known := m.onHand[sku]
		no := ""
		if !known {
			no = "unknown_sku"
		} else if onHand-m.reserved[sku] < wanted[sku] {
			no = "out_of_stock"
		}
		if no != "" {
			m.outcome[r.Key] = no
			m.announced[r.OrderID] = append(m.announced[r.OrderID], "inventory.rejected.v1")
			return fault.Declined, no
		}
		if _, before := m.lines[r.OrderID][sku]; before {
			return fault.Conflict, "already_reserved"
		}
	}
	m.outcome[r.Key] = "yes"
	m.announced[r.OrderID] = append(m.announced[r.OrderID], "inventory.reserved.v1")
	for sku, quantity := range wanted {
		m.reserved[sku] += quantity
		m.lines[r.OrderID][sku] = quantity
	}
	return "", ""
}

func (m *model) release(r inventory.Release) {
	if m.outcome[r.Key] != "" {
		return
	}
	m.outcome[r.Key] = "yes"
	if undone := m.outcome[r.Undoes]; undone == "" || undone == "yes" {
		m.outcome[r.Undoes] = "undone"
	}
	any := false
	for sku, quantity := range m.lines[r.OrderID] {
		any = any || quantity > 0
		m.reserved[sku] -= quantity
		m.lines[r.OrderID][sku] = 0
	}
	if any {
		m.announced[r.OrderID] = append(m.announced[r.OrderID], "inventory.released.v1")
	}
}

func (m *model) adjust(a inventory.Adjustment) (fault.Kind, string) {
	switch outcome := m.outcome[a.Key]; {
	case outcome == "yes":
		return "", ""
	case outcome != "":
		return fault.Declined, outcome
	case m.onHand[a.SKU]+a.Change < m.reserved[a.SKU]:
		m.outcome[a.Key] = "stock_reserved"
		return fault.Declined, "stock_reserved"
	}
	m.outcome[a.Key] = "yes"
	m.onHand[a.SKU] += a.Change
	m.announced[a.SKU] = append(m.announced[a.SKU], "stock.adjusted.v1")
	return "", ""
}

// Any sequence of reservations, releases and adjustments, under fresh and repeated keys, in any order of step and undo.
func TestStockFollowsTheModel(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openStore(t, open)
		rapid.Check(t, func(t *rapid.T) {
			run := s.key("run")
			known := []string{run + "-a", run + "-B", run + "-c"}
			anySKU := append(slices.Clone(known), run+"-unknown")
			m := &model{
				onHand: map[string]int64{}, reserved: map[string]int64{}, lines: map[string]map[string]int64{},
				outcome: map[string]string{}, announced: map[string][]string{},
			}
			for _, sku := range known {
				m.onHand[sku] = rapid.Int64Range(0, 6).Draw(t, "stock")
				require.NoError(t, s.AddStock(s.ctx, []quantity{{sku, m.onHand[sku]}}))
			}
			orders := []string{run + "-o1", run + "-o2", run + "-o3"}
			for _, order := range orders {
				m.lines[order] = map[string]int64{}
			}
			order := func(t *rapid.T) string { return rapid.SampledFrom(orders).Draw(t, "order") }
			// A few names, so that keys repeat, and an undo meets its step before, after, or never.
			key := func(t *rapid.T, order, of string) string {
				return order + ":" + of + rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, of)
			}
			answered := func(t *rapid.T, err error, kind fault.Kind, code string) {
				if code == "" {
					require.NoError(t, err)
					return
				}
				requireFault(t, err, kind, code)
			}

			t.Repeat(map[string]func(*rapid.T){
				"reserve": func(t *rapid.T) {
					r := inventory.Reservation{OrderID: order(t)}
					r.Key = key(t, r.OrderID, "reserve")
					for range rapid.IntRange(1, 3).Draw(t, "lines") {
						r.Lines = append(r.Lines, quantity{
							rapid.SampledFrom(anySKU).Draw(t, "sku"), rapid.Int64Range(1, 3).Draw(t, "quantity"),
						})
					}
					kind, code := m.reserve(r)
					answered(t, s.Reserve(s.ctx, r), kind, code)
				},
				"release": func(t *rapid.T) {
					r := inventory.Release{OrderID: order(t)}
					r.Key, r.Undoes = key(t, r.OrderID, "release"), key(t, r.OrderID, "reserve")
					m.release(r)
					require.NoError(t, s.Release(s.ctx, r))
				},
				"adjust": func(t *rapid.T) {
					a := inventory.Adjustment{SKU: rapid.SampledFrom(known).Draw(t, "sku")}
					a.Key = a.SKU + rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "adjust")
					a.Change = rapid.Int64Range(-4, 4).Filter(func(n int64) bool { return n != 0 }).Draw(t, "change")
					kind, code := m.adjust(a)
					_, err := s.Adjust(s.ctx, a)
					answered(t, err, kind, code)
				},
				"": func(t *rapid.T) {
					all, err := s.accounts(s.ctx, run+"-")
					require.NoError(t, err)
					require.Len(t, all, len(known))
					for _, a := range all {
						requireProved(t, a)
						require.Equal(t, m.onHand[a.SKU], a.OnHand, a.SKU)
						require.Equal(t, m.reserved[a.SKU], a.Reserved, a.SKU)
					}
					require.Equal(t, m.announced, s.allAnnounced(t, run+"-"))
				},
			})
		})
	})
}
