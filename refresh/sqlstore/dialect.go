package sqlstore

import (
	"errors"
	"regexp"
	"strings"
)

// A Dialect is the SQL that a database understands.
type Dialect int

// The dialects. There is no default: what would be taken for another database
// would fail late.
const (
	PostgreSQL Dialect = iota + 1
	SQLite
)

const defaultTable = "tokenlife"

// tableName allows what is the same with and without quotes, and leaves room
// for the index's name in PostgreSQL's 63 bytes.
var tableName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,54}$`)

// statements are the texts for one table.
type statements struct {
	get, insert, update, remove, sweep, probe string
	create                                    []string
}

// What both dialects share, in the words of PostgreSQL. One statement does the
// whole of a swap: PostgreSQL locks the row, then looks at its newest version;
// SQLite locks the file. Each parameter has a type of its own. With that of a
// column, which may be another in a table not made by Create, the server would
// try to convert the value, and print it in the error.
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
	// Rows that others are about to change are left alone, and the list is made
	// once. now() is the time of the statement's transaction, and unlike
	// clock_timestamp lets the index be used.
	postgresSweep = `DELETE FROM "{table}" WHERE key = ANY (ARRAY(SELECT key FROM "{table}" ` +
		`WHERE expires <= now() ORDER BY expires LIMIT $1::bigint FOR UPDATE SKIP LOCKED))`

	// Two that create one table at the same time would otherwise both find it
	// missing. The number means nothing to anybody else.
	postgresLock = `SELECT pg_advisory_xact_lock(8389209319106405733)`

	// Collation "C" is bytes: no change of the system's locale touches the index.
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
		// clock_timestamp is read when the row is looked at, which after a wait
		// for its lock is later than the statement's beginning.
		text := strings.NewReplacer("{table}", table,
			"{now}", "clock_timestamp()", "{millisecond}", "interval '1 millisecond'").Replace
		return texts(text, postgresSweep, postgresLock, postgresCreate), nil
	case SQLite:
		// Milliseconds since 1970, in the file as in the statements.
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
