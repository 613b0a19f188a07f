package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/system"
	"example.com/orderly/internal/users"
)

// AdoptOptions say what is given up.
type AdoptOptions struct {
	// GiveUp is the id of the system that is no more; empty only shows what serves which.
	GiveUp string
	// EndSagas terminates the open sagas of orders that the orders database does not know.
	EndSagas bool
	// Say takes what was found and done, a line each.
	Say func(line string)
}

// Adopt makes what is outside the databases and serves the system GiveUp serve the system of the databases. It never changes a database, and
// changes nothing while a process of the other system is seen, or while sagas are open whose orders are not in the databases.
func Adopt(ctx context.Context, cfg config.Config, o AdoptOptions) (err error) {
	p := newProcess(cfg, false, slog.New(slog.DiscardHandler), o.Say)
	defer func() { err = errors.Join(err, p.closers.Close()) }()
	stores := map[string]*store{}
	for _, s := range Services {
		if err := requireFile(cfg, s.Name); err != nil {
			return err
		}
		if stores[s.Name], err = openStore(ctx, p, s, true); err != nil {
			return err
		}
	}
	ours, err := identify(ctx, p, Services, stores)
	if err != nil {
		return err
	}
	o.Say("The databases belong to system " + string(ours) + ".")
	rdb, err := openCache(p)
	if err != nil {
		return err
	}
	cache := users.NewCache(rdb, users.New(stores["users"].box, p.now), users.CacheOptions{Prefix: cachePrefix(cfg), System: ours, Log: p.log})
	p.closers.Add(func() error { cache.Close(); return nil })
	return withNamespace(ctx, p, func(ctx context.Context, namespace *namespace) error {
		var places []place
		if cfg.RabbitMQURL != "" {
			places = append(places, newPrefix(p, ours))
		}
		if cfg.RedisURL != "" {
			places = append(places, cached{cache, cachePrefix(cfg)})
		}
		if namespace != nil { // the last, since its sagas are only terminated once nothing else stands in the way
			namespace.orders, namespace.endSagas = orders.New(stores["orders"].box, nil), o.EndSagas
			places = append(places, namespace)
		}
		return adopt(ctx, places, ours, o)
	})
}

// place is what bears the id of a system outside the databases.
type place interface {
	name() string
	// serves is the system that it serves; empty for none.
	serves(ctx context.Context) (system.ID, error)
	// idle returns an error while the place must not change hands.
	idle(ctx context.Context, say func(line string)) error
	// adopt makes it serve ours in place of giveUp.
	adopt(ctx context.Context, ours, giveUp system.ID) error
}

func adopt(ctx context.Context, places []place, ours system.ID, o AdoptOptions) error {
	giveUp := system.ID(o.GiveUp)
	var given []place
	var others []string
	for _, place := range places {
		id, err := place.serves(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", place.name(), err)
		}
		switch id {
		case "":
			o.Say(place.name() + " serves no system yet: the next process claims it.")
			continue
		case ours:
			o.Say(place.name() + " serves system " + string(id) + ".")
			continue
		}
		o.Say(place.name() + " serves system " + string(id) + ", another one.")
		if others = append(others, string(id)); id == giveUp {
			given = append(given, place)
		}
	}
	slices.Sort(others)
	others = slices.Compact(others)
	switch {
	case giveUp == "" && len(others) > 0:
		return fmt.Errorf("nothing was changed: where system %s is no more and none of its processes run, run orderly adopt --give-up %s; where it lives, "+
			"name another namespace or prefix", strings.Join(others, " or "), others[0])
	case giveUp == "":
		return nil
	case giveUp == ours:
		return fmt.Errorf("nothing was changed: %s is the system of the databases; --give-up names the other one", ours)
	case len(given) == 0:
		return fmt.Errorf("nothing was changed: nothing serves system %s", giveUp)
	}
	for _, place := range given {
		if err := place.idle(ctx, o.Say); err != nil {
			return fmt.Errorf("nothing was adopted: %s: %w", place.name(), err)
		}
	}
	for _, place := range given {
		if err := place.adopt(ctx, ours, giveUp); err != nil {
			return fmt.Errorf("adopt %s: %w", place.name(), err)
		}
		o.Say(place.name() + " now serves system " + string(ours) + ".")
	}
	return nil
}
