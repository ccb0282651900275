package publisher

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"zamqp/publisher/outbox"
)

// Database tells the server of a database whose SQL transactions calls join, so that it can keep an
// outbox in it: see "outbox" of [connection.NAME] in the configuration. open is called once, after
// the [OnStart] functions, on the goroutine that starts the server; it returns the database that
// handlers use, which it may open, or which an OnStart function has opened. The server does not
// close it. Database panics on a bad or duplicate name.
//
//	publisher.Database("shop", func() (*sql.DB, error) { return db, nil })
func Database(name string, open func() (*sql.DB, error)) { Default.database(name, open, caller(2)) }

// Database is the package's [Database] for this registry.
func (g *Registry) Database(name string, open func() (*sql.DB, error)) {
	g.database(name, open, caller(2))
}

func (g *Registry) database(name string, open func() (*sql.DB, error), place string) {
	checkName("Database", name, place)
	if open == nil {
		panic(fmt.Sprintf("publisher: Database(%q) at %s: the function is nil", name, place))
	}
	if old := g.databases[name]; old != nil {
		panic(fmt.Sprintf("publisher: Database(%q) at %s: already registered at %s", name, place, old.place))
	}
	g.databases[name] = &registered[func() (*sql.DB, error)]{value: open, place: place}
}

// Databases returns the names of the registered databases, sorted.
func (g *Registry) Databases() []string { return slices.Sorted(maps.Keys(g.databases)) }

// OpenDatabase calls the function that was given to [Database] under that name.
func (g *Registry) OpenDatabase(name string) (db *sql.DB, err error) {
	r := g.databases[name]
	err = guard(func() (err error) {
		db, err = r.value()
		return err
	})
	if p, ok := err.(*PanicError); ok {
		p.who = "it"
	}
	if err == nil && db == nil {
		err = errors.New("it has returned no database")
	}
	if err != nil {
		return nil, fmt.Errorf("database %s (registered at %s): %w", name, r.place, err)
	}
	return db, nil
}

// A database is a registered database as the server uses it.
type database struct {
	name    string
	db      *sql.DB
	dialect atomic.Uint32     // an outbox.Dialect; 0 while it is not known
	wake    map[string]func() // by connection: rows were committed
}

// databaseCheck bounds what a database is asked before the server serves.
const databaseCheck = 10 * time.Second

// OpenDatabases calls the functions given to [Database]. In those that need tables it checks that they
// are there. A database that does not answer now is no error: it is asked again when it is used.
// Call it after RunOnStart, on the same goroutine.
func (s *Server) OpenDatabases(ctx context.Context, tables func(name string) bool) error {
	for _, name := range s.registry.Databases() {
		db, err := s.registry.OpenDatabase(name)
		if err != nil {
			return err
		}
		d := &database{name: name, db: db, wake: map[string]func(){}}
		s.databases = append(s.databases, d)
		if !tables(name) {
			continue
		}
		switch err := d.check(ctx); {
		case errors.Is(err, outbox.ErrTables):
			return fmt.Errorf("database %s (registered at %s): %w", name, s.registry.databases[name].place, err)
		case err != nil:
			s.log.Warn().Err(err).Str("database", name).Msg("the database does not answer now: the server starts without having seen its tables")
		}
	}
	return nil
}

func (d *database) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, databaseCheck)
	defer cancel()
	dialect, err := d.speaks(ctx, d.db)
	if err != nil {
		return err
	}
	return outbox.Check(ctx, d.db, dialect)
}

// speaks returns the dialect of the database, which q asks if it is not known. It blocks.
func (d *database) speaks(ctx context.Context, q outbox.Queryer) (outbox.Dialect, error) {
	if known := d.dialect.Load(); known != 0 {
		return outbox.Dialect(known), nil
	}
	dialect, err := outbox.DialectOf(ctx, q)
	if err == nil {
		d.dialect.Store(uint32(dialect))
	}
	return dialect, err
}

// databaseOf returns a registered database, or nil.
func (s *Server) databaseOf(db *sql.DB) *database {
	for _, d := range s.databases {
		if d.db == db {
			return d
		}
	}
	return nil
}

// database returns the registered database of that name, or nil.
func (s *Server) database(name string) *database {
	for _, d := range s.databases {
		if d.name == name {
			return d
		}
	}
	return nil
}

// EachDatabase calls fn with each registered database that was opened, in the order of the names.
func (s *Server) EachDatabase(fn func(name string, db *sql.DB)) {
	for _, d := range s.databases {
		fn(d.name, d.db)
	}
}

// BindOutbox gives the server a function that tells the dispatcher of a connection's rows in a
// database that rows were committed. Loop thread only.
func (s *Server) BindOutbox(name, connection string, wake func()) {
	s.database(name).wake[connection] = wake
	s.boxes = true
}
