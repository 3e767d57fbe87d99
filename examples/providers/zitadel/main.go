// Command zitadel runs the example provider of github.com/zitadel/oidc, with
// what a test wants of it: its clients and users, access tokens of seconds,
// keys that rotate, and an administrator.
//
// The environment has its configuration in CONFIG, as JSON; config has its
// names. Everything is kept in memory.
package main

import (
	"encoding/json"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// config is what the provider is told.
type config struct {
	Listen     string        // its address
	Admin      string        // that of its administrator
	Issuer     string        // as its clients see it
	AccessLife time.Duration // of an access token
	Clients    []client
	Users      []string // their names, which are their subjects too; any of them has the password "any"
}

func main() {
	var c config
	if err := json.Unmarshal([]byte(os.Getenv("CONFIG")), &c); err != nil {
		log.Fatalf("CONFIG: %v", err)
	}
	provider, err := newStore(c)
	if err != nil {
		log.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	public := exampleop.SetupServer(c.Issuer, provider, logger, false)

	go func() { log.Fatal(serve(c.Admin, provider.administration())) }()
	log.Fatal(serve(c.Listen, public))
}

func serve(address string, handler http.Handler) error {
	return (&http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe()
}

// users are those of the example, by the names that the test has for them.
type users map[string]*storage.User

func (u users) GetUserByID(id string) *storage.User         { return u[id] }
func (u users) GetUserByUsername(name string) *storage.User { return u[name] }
func (u users) ExampleClientID() string                     { return storage.ServiceUserID }
