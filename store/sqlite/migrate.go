package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"detectd/store"
)

// Migrations are numbered and only ever added: a released file never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.w, dir,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(s.log),
		goose.WithAllowOutofOrder(true)) // several people add migrations at a time, and not in the order of their numbers
	if err != nil {
		return err
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("its schema is %d, this detectd knows %d: %w", have, want, store.ErrNewerSchema)
	}
	if pending, err := provider.HasPending(ctx); err != nil || !pending {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema from %d to %d: %w", have, want, err)
	}
	s.log.Info("database schema migrated", "from", have, "to", want)
	return nil
}
