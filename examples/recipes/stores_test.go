package recipes

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/redisstore"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
	"github.com/tokenlife/tokenlife/refresh/sqlstore"
)

// What the README says of a Store's work: a request in ten seconds, for the life
// of one access token, and then one refresh.
func TestWhatALoginAsksOfItsStore(t *testing.T) {
	for name, tt := range map[string]struct {
		refresher func(*middlewaretest.Provider, refresh.Store) refresh.Refresher
		want      map[string]string
	}{
		"tokens in cookies": {
			func(p *middlewaretest.Provider, s refresh.Store) refresh.Refresher {
				return &refresh.Coordinator{Refresher: p, Store: s}
			},
			map[string]string{
				"the sign-in":          "0 gets, 0 swaps",
				"the first request":    "0 gets, 1 swaps", // it tells that the tokens have arrived
				"26 requests in 260 s": "0 gets, 0 swaps",
				"a refresh":            "1 gets, 2 swaps",
				"the request after it": "0 gets, 1 swaps",
			},
		},
		"logins on the server": {
			func(p *middlewaretest.Provider, s refresh.Store) refresh.Refresher {
				return &sessions.Sessions{Refresher: p, Store: s}
			},
			map[string]string{
				"the sign-in":          "2 gets, 3 swaps",
				"the first request":    "0 gets, 0 swaps",
				"26 requests in 260 s": "26 gets, 0 swaps",
				"a refresh":            "1 gets, 2 swaps",
				"the request after it": "0 gets, 1 swaps",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, store := middlewaretest.NewProvider(t), new(refreshtest.FaultyStore)
				auth := &middleware.Auth{Verifier: p, Refresher: tt.refresher(p, store)}
				defer auth.Close()
				h := auth.Require(http.HandlerFunc(hello))
				r := httptest.NewRequest("GET", "/", nil)
				var gets, swaps int // before what is checked
				check := func(what string) {
					synctest.Wait()
					g, s := store.Count()
					got := fmt.Sprintf("%d gets, %d swaps", g-gets, s-swaps)
					gets, swaps = g, s
					if got != tt.want[what] {
						t.Errorf("%s: %s, want %s", what, got, tt.want[what])
					}
				}
				ask := func() {
					w := serve(h, r)
					if w.Code != 200 {
						t.Fatal(w.Code)
					}
					middlewaretest.Keep(r, w.Result())
				}
				middlewaretest.SignIn(auth, r, p.Login(nil))
				check("the sign-in")
				ask()
				check("the first request")
				for range 26 {
					<-time.After(10 * time.Second)
					ask()
				}
				check("26 requests in 260 s")
				<-time.After(30 * time.Second)
				ask()
				if p.Endpoint.Stats().Refreshed != 1 {
					t.Error("there was no refresh")
				}
				check("a refresh")
				ask()
				check("the request after it")
			})
		})
	}
}

// BenchmarkStores measures a refresh at a provider that answers at once, through
// each store.
func BenchmarkStores(b *testing.B) {
	sqlite := func(b *testing.B) refresh.Store {
		db := open(b, "sqlite", "file:"+filepath.Join(b.TempDir(), "logins.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
		db.SetMaxOpenConns(1)
		return create(b, &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite})
	}
	for _, bb := range []struct {
		name  string
		store func(*testing.B) refresh.Store
	}{
		{"none", func(*testing.B) refresh.Store { return nil }},
		{"memory", func(*testing.B) refresh.Store { return new(refresh.MemoryStore) }},
		{"redis", func(b *testing.B) refresh.Store {
			client := redis.NewClient(&redis.Options{Addr: refreshtest.StartRedis(b).Addr, ContextTimeoutEnabled: true})
			store := &redisstore.Store{Client: client}
			b.Cleanup(func() { store.Close(); client.Close() })
			return store
		}},
		{"postgresql", func(b *testing.B) refresh.Store {
			return create(b, &sqlstore.Store{DB: open(b, "pgx", refreshtest.StartPostgres(b)), Dialect: sqlstore.PostgreSQL})
		}},
		{"sqlite", sqlite},
	} {
		b.Run(bb.name, func(b *testing.B) {
			provider := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
				return refresh.Tokens{Access: "access of " + old.Refresh, Refresh: old.Refresh + "'"}, nil
			})
			c := &refresh.Coordinator{Refresher: provider, Store: bb.store(b)}
			defer c.Close()
			n := 0
			for b.Loop() {
				n++
				login := strconv.Itoa(n)
				if _, err := c.Refresh(b.Context(), refresh.Tokens{Access: "first of " + login, Refresh: login}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func open(b *testing.B, driver, dsn string) *sql.DB {
	b.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

func create(b *testing.B, store *sqlstore.Store) refresh.Store {
	b.Helper()
	if err := store.Create(b.Context()); err != nil {
		b.Fatal(err)
	}
	return store
}
