package node

import (
	"context"

	"example.com/orderly/internal/system"
)

// named is the database with the variable that names it.
func (s *store) named() system.Database {
	return system.Database{Service: s.service, Setting: s.setting, DB: s.db}
}

// identify returns the system that the databases of these services belong to, those apart that are not there yet. Under develop it first writes
// that into the databases that do not say it.
func identify(ctx context.Context, p process, of []Service, stores map[string]*store) (system.ID, error) {
	var there []system.Database
	for _, s := range of {
		if st := stores[s.Name]; !st.late {
			there = append(there, st.named())
		}
	}
	if p.develop {
		return system.Settle(ctx, there, p.now())
	}
	return system.Compare(ctx, there)
}
