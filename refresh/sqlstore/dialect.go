package sqlstore

import (
	"errors"
	"regexp"
	"strings"
)

// A Dialect is the SQL that a database understands.
type Dialect int

// The dialects. There is no default, because a wrong one would be found late.
const (
	PostgreSQL Dialect = iota + 1
	SQLite
)

const defaultTable = "tokenlife"

// tableName matches names that are the same with and without quotes. They are
// short enough for the name of the index to fit into the 63 bytes of
// PostgreSQL.
var tableName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,54}$`)

// statements are the SQL texts for one table.
type statements struct {
	get, insert, update, remove, sweep, probe string
	create                                    []string
}

// The statements of both dialects, in the syntax of PostgreSQL. A swap is a
// single statement: PostgreSQL locks the row and then reads its newest version,
// and SQLite locks the file. Each parameter is cast to a type. Otherwise it
// would get the type of its column, which may be another one in a table that
// Create has not made. The server would then fail to convert the value, and
// print it in the error.
const (
	get    = `SELECT value FROM "{table}" WHERE key = $1::text AND expires > {now}`
	insert = `INSERT INTO "{table}" (key, value, expires) VALUES ($1::text, $2::bytea, {now} + $3::bigint * {millisecond}) ` +
		`ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires WHERE "{table}".expires <= {now}`
	update = `UPDATE "{table}" SET value = $2::bytea, expires = {now} + $3::bigint * {millisecond} ` +
		`WHERE key = $1::text AND value = $4::bytea AND expires > {now}`
	remove = `DELETE FROM "{table}" WHERE key = $1::text AND value = $2::bytea AND expires > {now}`
	probe  = `SELECT key, value, expires FROM "{table}" WHERE 1 = 0`
	index  = `CREATE INDEX IF NOT EXISTS "{table}_expires" ON "{table}" (expires)`
)

const (
	// Rows that other statements have locked are skipped. ARRAY makes the
	// server run the subquery once. now() is the time of the transaction.
	// Unlike with clock_timestamp(), the index can be used with it.
	postgresSweep = `DELETE FROM "{table}" WHERE key = ANY (ARRAY(SELECT key FROM "{table}" ` +
		`WHERE expires <= now() ORDER BY expires LIMIT $1::bigint FOR UPDATE SKIP LOCKED))`

	// Without a lock, two replicas that create the table at the same time could
	// both find it missing. The number is arbitrary.
	postgresLock = `SELECT pg_advisory_xact_lock(8389209319106405733)`

	// Collation "C" compares bytes, so that a change of the system's locale
	// does not break the index.
	postgresCreate = `CREATE TABLE IF NOT EXISTS "{table}" ` +
		`(key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL, expires timestamptz NOT NULL)`

	sqliteSweep = `DELETE FROM "{table}" WHERE key IN (SELECT key FROM "{table}" ` +
		`WHERE expires <= {now} ORDER BY expires LIMIT $1)`
	sqliteCreate = `CREATE TABLE IF NOT EXISTS "{table}" ` +
		`(key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, expires INTEGER NOT NULL)`
)

func (d Dialect) statements(table string) (statements, error) {
	if table == "" {
		table = defaultTable
	}
	if !tableName.MatchString(table) {
		return statements{}, errors.New("sqlstore: Store.Table is not a name of lower-case letters, digits and underscores of at most 55 characters")
	}
	switch d {
	case PostgreSQL:
		// clock_timestamp() is read when the row is. After a wait for the row's
		// lock, that is later than the start of the statement.
		text := strings.NewReplacer("{table}", table,
			"{now}", "clock_timestamp()", "{millisecond}", "interval '1 millisecond'").Replace
		return texts(text, postgresSweep, postgresLock, postgresCreate), nil
	case SQLite:
		// Times are in Unix milliseconds, in the file and in the statements.
		text := strings.NewReplacer("{table}", table,
			"{now}", "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)", "{millisecond}", "1",
			"$", "?", "::text", "", "::bytea", "", "::bigint", "").Replace
		return texts(text, sqliteSweep, sqliteCreate), nil
	}
	return statements{}, errors.New("sqlstore: Store.Dialect is neither PostgreSQL nor SQLite")
}

func texts(text func(string) string, sweep string, create ...string) statements {
	s := statements{
		get: text(get), insert: text(insert), update: text(update), remove: text(remove),
		sweep: text(sweep), probe: text(probe),
	}
	for _, statement := range append(create, index) {
		s.create = append(s.create, text(statement))
	}
	return s
}
