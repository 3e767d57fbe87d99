package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sqlstore"
	_ "modernc.org/sqlite"
)

// A database is one to be tested: each call of connect gives a pool of its own,
// as a replica has it.
type database struct {
	dialect sqlstore.Dialect
	connect func(*testing.T) *sql.DB
}

func openDB(t *testing.T, driver, dsn string, conns int) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(conns)
	return db
}

// sqliteFile is a database in a file of its own, opened as the documentation
// says.
func sqliteFile(t *testing.T) database {
	dsn := "file:" + filepath.Join(t.TempDir(), "logins.db") + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
	return database{sqlstore.SQLite, func(t *testing.T) *sql.DB { return openDB(t, "sqlite", dsn, 1) }}
}

func postgres(t *testing.T) database {
	dsn := refreshtest.StartPostgres(t)
	return database{sqlstore.PostgreSQL, func(t *testing.T) *sql.DB { return openDB(t, "pgx", dsn, 50) }}
}

// store returns a Store with a table.
func (d database) store(t *testing.T, table string) *sqlstore.Store {
	t.Helper()
	s := &sqlstore.Store{DB: d.connect(t), Dialect: d.dialect, Table: table}
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSQLite(t *testing.T)     { testDatabase(t, sqliteFile(t)) }
func TestPostgreSQL(t *testing.T) { testDatabase(t, postgres(t)) }

func testDatabase(t *testing.T, d database) {
	for _, part := range []struct {
		name string
		test func(*testing.T, database)
	}{
		{"the contract of a Store", testContract},
		{"replicas create the table at the same time", testCreateAtOnce},
		{"a table that is there is left as it is", testCreateAgain},
		{"without the table everything is an error", testNoTable},
		{"of many replicas one wins", testReplicas},
		{"tables keep programs apart", testTables},
		{"every value has an end", testLifetimes},
		{"a sweep deletes what has expired and nothing else", testSweep},
		{"inserting sweeps", testSweepByInserting},
		{"errors hold no value", testSilence},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, d) })
	}
}

func testContract(t *testing.T, d database) {
	s := d.store(t, "")
	refreshtest.TestStore(t, func() refresh.Store { return s })
}

func testCreateAtOnce(t *testing.T, d database) {
	var wg sync.WaitGroup
	for range 10 {
		s := &sqlstore.Store{DB: d.connect(t), Dialect: d.dialect, Table: "at_once"}
		wg.Go(func() {
			if err := s.Create(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	put(t, d.store(t, "at_once"), "k", "", "v", time.Hour)
}

func testCreateAgain(t *testing.T, d database) {
	s := d.store(t, "again")
	put(t, s, "k", "", "v", time.Hour)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := d.store(t, "again").Get(t.Context(), "k"); err != nil || string(v) != "v" {
		t.Errorf("Get = %q, %v", v, err)
	}
}

func testNoTable(t *testing.T, d database) {
	s := &sqlstore.Store{DB: d.connect(t), Dialect: d.dialect, Table: "missing"}
	if _, err := s.Get(t.Context(), "k"); err == nil || errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if ok, err := s.Swap(t.Context(), "k", nil, []byte("v"), time.Hour); err == nil || ok {
		t.Errorf("Swap = %t, %v", ok, err)
	}
	if err := s.Sweep(t.Context()); err == nil {
		t.Error("Sweep is no error")
	}
}

func testReplicas(t *testing.T, d database) {
	d.store(t, "replicas")
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		s := &sqlstore.Store{DB: d.connect(t), Dialect: d.dialect, Table: "replicas"}
		for range 5 {
			wg.Go(func() {
				ok, err := s.Swap(t.Context(), "claim", nil, []byte("mine"), time.Hour)
				if err != nil {
					t.Errorf("Swap: %v", err)
				}
				if ok {
					won.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 100 swaps won, want 1", won.Load())
	}
}

func testTables(t *testing.T, d database) {
	longest := strings.Repeat("t", 55)
	one, other := d.store(t, "one"), d.store(t, longest)
	put(t, one, "k", "", "one", time.Hour)
	if _, err := other.Get(t.Context(), "k"); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("the other's Get: %v", err)
	}
	put(t, other, "k", "", "other", time.Hour)
	if v, err := one.Get(t.Context(), "k"); err != nil || string(v) != "one" {
		t.Errorf("Get = %q, %v", v, err)
	}
}

func testLifetimes(t *testing.T, d database) {
	s := d.store(t, "lifetimes")
	const longest = 1<<63 - 1
	put(t, s, "long", "", "v", longest)
	put(t, s, "long", "v", "w", longest)
	if v, err := s.Get(t.Context(), "long"); err != nil || string(v) != "w" {
		t.Errorf("for 292 years: Get = %q, %v", v, err)
	}
	// A value for a nanosecond is one for a moment, and not one without an end.
	put(t, s, "short", "", "v", 1)
	eventually(t, "it has expired", func() bool {
		_, err := s.Get(t.Context(), "short")
		return errors.Is(err, refresh.ErrNotFound)
	})
}

func testSweep(t *testing.T, d database) {
	s := d.store(t, "swept")
	fill(t, d, "swept", 2500)
	put(t, s, "kept", "", "v", time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, s, "swept"); n != 1 {
		t.Errorf("%d rows are left, want 1", n)
	}
	if v, err := s.Get(t.Context(), "kept"); err != nil || string(v) != "v" {
		t.Errorf("Get = %q, %v", v, err)
	}
}

func testSweepByInserting(t *testing.T, d database) {
	s := d.store(t, "inserted")
	fill(t, d, "inserted", 1500)
	put(t, s, "first", "", "v", time.Hour)
	// Where the machine is busy a sweep may run out of its time, and is made up
	// for by a later one: it has all of its effect or none.
	left := rows(t, s, "inserted")
	if left != 1500-1024+1 && left != 1500+1 {
		t.Errorf("%d rows after the first insert, want 1024 fewer, or none", left)
	}
	put(t, s, "first", "v", "w", time.Hour)
	put(t, s, "second", "", "v", time.Hour)
	if n := rows(t, s, "inserted"); n != left+1 {
		t.Errorf("%d rows after the second insert, want no other sweep so soon", n)
	}
	inserts := 2
	for range 20 {
		for range 256 {
			inserts++
			put(t, s, fmt.Sprint("more", inserts), "", "v", time.Hour)
		}
		if left = rows(t, s, "inserted"); left == inserts {
			return
		}
	}
	t.Errorf("%d rows after %d inserts, want none that has expired", left, inserts)
}

// fill inserts n rows that have expired.
func fill(t *testing.T, d database, table string, n int) {
	t.Helper()
	statement := map[sqlstore.Dialect]string{
		sqlstore.PostgreSQL: `INSERT INTO ` + table + ` SELECT 'old' || i, 'v', now() - interval '1 second' FROM generate_series(1, $1::int) AS i`,
		sqlstore.SQLite: `WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ?1) ` +
			`INSERT INTO ` + table + ` SELECT 'old' || i, x'76', unixepoch() * 1000 - 1000 FROM s`,
	}[d.dialect]
	if _, err := d.connect(t).ExecContext(t.Context(), statement, n); err != nil {
		t.Fatal(err)
	}
}

func rows(t *testing.T, s *sqlstore.Store, table string) (n int) {
	t.Helper()
	if err := s.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Databases print what they cannot convert.
func testSilence(t *testing.T, d database) {
	const secret = "secret-value"
	s := &sqlstore.Store{DB: d.connect(t), Dialect: d.dialect, Table: "another"}
	if _, err := s.DB.ExecContext(t.Context(), `CREATE TABLE another (key text PRIMARY KEY, value int CHECK (value < 0), expires timestamptz)`); err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{"", secret + "-old"} {
		_, err := s.Swap(t.Context(), "k", []byte(old), []byte(secret), time.Hour)
		if err == nil && old == "" {
			t.Error("a table of another form is no error")
		}
		for ; err != nil; err = errors.Unwrap(err) {
			// As text, as hexadecimal digits, and as a list of numbers.
			for _, form := range []string{secret, "736563726574", "115 101 99", "0x73, 0x65"} {
				if strings.Contains(err.Error(), form) {
					t.Errorf("%q", err)
				}
			}
		}
	}
}

func TestMistakesAreErrors(t *testing.T) {
	db := sqliteFile(t).connect(t)
	for _, c := range []struct {
		name  string
		store *sqlstore.Store
		want  string
	}{
		{"no database", &sqlstore.Store{Dialect: sqlstore.SQLite}, "sqlstore: Store.DB"},
		{"no dialect", &sqlstore.Store{DB: db}, "sqlstore: Store.Dialect"},
		{"an unknown dialect", &sqlstore.Store{DB: db, Dialect: 9}, "sqlstore: Store.Dialect"},
		{"a table in quotes", &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite, Table: `t"; DROP TABLE x; --`}, "sqlstore: Store.Table"},
		{"a table in capitals", &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite, Table: "Logins"}, "sqlstore: Store.Table"},
		{"a table with a line break", &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite, Table: "logins\n"}, "sqlstore: Store.Table"},
		{"a digit first", &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite, Table: "1a"}, "sqlstore: Store.Table"},
		{"too long a name", &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite, Table: strings.Repeat("t", 56)}, "sqlstore: Store.Table"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for call, err := range map[string]error{
				"Create": c.store.Create(t.Context()),
				"Sweep":  c.store.Sweep(t.Context()),
				"Get":    func() error { _, err := c.store.Get(t.Context(), "k"); return err }(),
				"Swap": func() error {
					_, err := c.store.Swap(t.Context(), "k", nil, []byte("v"), time.Hour)
					return err
				}(),
			} {
				if err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("%s: %v, want %s …", call, err, c.want)
				}
			}
		})
	}
}

// Somebody else holds the database for longer than a caller has time.
func TestACallEndsWithItsContextWhileTheDatabaseIsLocked(t *testing.T) {
	for name, c := range map[string]struct {
		open func(*testing.T) database
		lock string
	}{
		"SQLite":     {sqliteFile, "BEGIN IMMEDIATE"},
		"PostgreSQL": {postgres, "BEGIN; LOCK TABLE tokenlife"},
	} {
		t.Run(name, func(t *testing.T) {
			d := c.open(t)
			s := d.store(t, "")
			conn, err := d.connect(t).Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.ExecContext(t.Context(), c.lock); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			began := time.Now()
			ok, err := s.Swap(ctx, "k", nil, []byte("v"), time.Hour)
			if took := time.Since(began); ok || err == nil || took > 20*time.Second {
				t.Errorf("Swap = %t, %v after %v, want an error at the deadline", ok, err, took)
			}
			if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
			put(t, s, "k", "", "w", time.Hour)
		})
	}
}

// A restart of the program is what SQLite is for.
func TestValuesOutliveTheProgram(t *testing.T) {
	d := sqliteFile(t)
	s := d.store(t, "")
	put(t, s, "k", "", "v", time.Hour)
	s.DB.Close()
	if v, err := d.store(t, "").Get(t.Context(), "k"); err != nil || string(v) != "v" {
		t.Errorf("Get = %q, %v", v, err)
	}
}

func put(t *testing.T, s *sqlstore.Store, key, old, new string, ttl time.Duration) {
	t.Helper()
	if ok, err := s.Swap(t.Context(), key, []byte(old), []byte(new), ttl); err != nil || !ok {
		t.Fatalf("Swap = %t, %v", ok, err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); !is(); <-again.C {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("%s: not after 10 s", what)
		}
	}
}
