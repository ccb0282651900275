package app

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"

	"zamqp/publisher/outbox"
)

// Old ids of the inbox are deleted on a goroutine beside the loop, forgetMost at a time.
const (
	forgetMost  = 1000
	forgetEvery = time.Minute
)

// inboxes returns the names of the consumers whose ids are in a database.
func (a *application) inboxes() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(a.plan.Consumers)) {
		if d := a.plan.Consumers[name].Dedupe; d.Key != "" && d.Database != "" {
			names = append(names, name)
		}
	}
	return names
}

// openInboxes starts the goroutine that deletes old ids. All processes do that; rows that one of
// them is deleting are left out by the others.
func (a *application) openInboxes() {
	names := a.inboxes()
	if len(names) == 0 {
		return
	}
	databases := map[string]*sql.DB{}
	a.server.EachDatabase(func(name string, db *sql.DB) { databases[name] = db })
	ctx, cancel := context.WithCancel(context.Background())
	a.loop.OnEnd(cancel)
	go func() {
		for {
			for _, name := range names {
				d := a.plan.Consumers[name].Dedupe
				n, err := forget(ctx, databases[d.Database], name, d.Keep)
				switch {
				case ctx.Err() != nil:
					return
				case err != nil:
					a.log.Warn().Err(err).Str("consumer", name).Str("database", d.Database).Msg("old ids of the inbox are not deleted: it is tried again in a minute")
				case n > 0:
					a.log.Debug().Str("consumer", name).Int("ids", n).Msg("old ids of the inbox are deleted")
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(forgetEvery):
			}
		}
	}()
}

// forget deletes all ids that are too old.
func forget(ctx context.Context, db *sql.DB, consumer string, keep time.Duration) (all int, err error) {
	dialect, err := outbox.DialectOf(ctx, db)
	for n := forgetMost; err == nil && n == forgetMost; all += n {
		if n, err = outbox.Forget(ctx, db, dialect, consumer, time.Now().Add(-keep), forgetMost); err != nil {
			return all, err
		}
	}
	return all, err
}
