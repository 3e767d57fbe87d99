package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A Store is a [refresh.Store] in one table of a database. Set DB and Dialect,
// call [Store.Create] where the table may be missing, then use the Store by
// pointer, from any number of goroutines, and do not change it after. It has no
// goroutine and needs no closing.
type Store struct {
	// DB is the database. Required. The caller closes it when the Store is no
	// longer in use.
	DB *sql.DB

	// Dialect is the SQL of the database. Required.
	Dialect Dialect

	// Table is the name of the table: lower-case letters, digits and
	// underscores, no digit first, 55 characters at most. PostgreSQL looks for
	// it on the connection's search_path. Programs that share a database but no
	// logins need different ones. Default "tokenlife".
	Table string

	once    sync.Once
	texts   statements
	invalid error // a mistake in the fields above
	inserts atomic.Uint64
}

const (
	// One in sweepEvery inserts deletes up to sweepAtMost expired rows. As that
	// is more rows than are inserted in between, the table does not grow under
	// load.
	sweepEvery  = 256
	sweepAtMost = 1024

	// sweepTimeout bounds how long a swap is delayed by a sweep.
	sweepTimeout = 500 * time.Millisecond
)

// Get implements [refresh.Store].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.init(); err != nil {
		return nil, err
	}
	var value []byte
	err := s.DB.QueryRowContext(ctx, s.texts.get, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		err = refresh.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("sqlstore: get: %w", err)
	}
	return value, nil
}

// Swap implements [refresh.Store]. A lifetime is rounded up to whole
// milliseconds.
func (s *Store) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := s.init(); err != nil {
		return false, err
	}
	life := milliseconds(ttl)
	switch {
	case len(old) == 0 && len(new) == 0:
		return false, errors.New("sqlstore: Swap from nothing to nothing")
	case len(new) > 0 && ttl <= 0:
		return false, errors.New("sqlstore: Swap with a lifetime that is not positive")
	case len(new) == 0:
		return s.swap(ctx, s.texts.remove, key, old)
	case len(old) > 0:
		return s.swap(ctx, s.texts.update, key, new, life, old)
	}
	done, err := s.swap(ctx, s.texts.insert, key, new, life)
	if done && s.inserts.Add(1)%sweepEvery == 1 {
		ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
		defer cancel()
		_, _ = s.sweep(ctx) // the swap has succeeded; a later insert will sweep again
	}
	return done, err
}

// swap runs a statement that changes one row or none.
func (s *Store) swap(ctx context.Context, statement string, args ...any) (bool, error) {
	n, err := s.change(ctx, statement, args...)
	if err != nil {
		return false, fmt.Errorf("sqlstore: swap: %w", err)
	}
	return n == 1, nil
}

func (s *Store) change(ctx context.Context, statement string, args ...any) (rows int64, err error) {
	result, err := s.DB.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Sweep deletes all rows that have expired, about a thousand in a statement. It
// need not be called: expired values are absent in every respect, and inserts
// delete expired rows. It is for a large table that is now hardly used.
func (s *Store) Sweep(ctx context.Context) error {
	if err := s.init(); err != nil {
		return err
	}
	for {
		n, err := s.sweep(ctx)
		if err != nil {
			return fmt.Errorf("sqlstore: sweep: %w", err)
		}
		if n < sweepAtMost {
			return nil
		}
	}
}

func (s *Store) sweep(ctx context.Context) (rows int64, err error) {
	return s.change(ctx, s.texts.sweep, sweepAtMost)
}

// Create creates the table and its index if the table does not exist. Replicas
// may call it at the same time. If the program has no right to create tables,
// an administrator can run its statements, which are with PostgreSQL:
//
//	CREATE TABLE tokenlife (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL, expires timestamptz NOT NULL);
//	CREATE INDEX tokenlife_expires ON tokenlife (expires);
//
// The program itself needs the rights to select, insert, update and delete.
func (s *Store) Create(ctx context.Context) error {
	if err := s.init(); err != nil {
		return err
	}
	// The probe comes first, because CREATE TABLE IF NOT EXISTS needs the right
	// to create even if the table exists.
	if _, err := s.DB.ExecContext(ctx, s.texts.probe); err == nil {
		return nil
	}
	if err := s.create(ctx); err != nil {
		return fmt.Errorf("sqlstore: create: %w", err)
	}
	return nil
}

func (s *Store) create(ctx context.Context) error {
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range s.texts.create {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// milliseconds rounds a positive lifetime up.
func milliseconds(ttl time.Duration) int64 { return int64((ttl-1)/time.Millisecond) + 1 }

func (s *Store) init() error {
	s.once.Do(func() {
		if s.DB == nil {
			s.invalid = errors.New("sqlstore: Store.DB is nil")
			return
		}
		s.texts, s.invalid = s.Dialect.statements(s.Table)
	})
	return s.invalid
}
