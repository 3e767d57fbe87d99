package providers

import (
	"slices"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/program"
)

// A scenario is one of the table's rows. It has a client and a user of its own,
// so that all scenarios of a provider can run at the same time.
type scenario struct {
	name     string                                   // the row
	id       string                                   // of its client, and the name of its user
	gateways int                                      // how many addresses it needs
	alone    bool                                     // it stops the provider, or changes its keys
	settings func(*testing.T, *client)                // of its client, beside those of all
	run      func(t *testing.T, s *site) (how string) // returns pass, or what happens at this provider
}

const pass = "pass"

// A place is a provider that runs, with the clients of all scenarios.
type place struct {
	provider provider
	front    *front
	server   server
	clients  map[string]client   // by the scenario
	at       map[string][]string // the addresses of its gateways
	gateway  string              // the built program
}

// newPlace starts a provider for these scenarios.
func newPlace(t *testing.T, p provider, gateway string, scenarios []scenario) *place {
	t.Helper()
	where := &place{provider: p, clients: map[string]client{}, at: map[string][]string{}, gateway: gateway}
	c := config{address: program.FreeAddress(t)}
	for _, s := range scenarios {
		if p.lacks[s.name] != "" {
			continue
		}
		var addresses []string
		for range s.gateways {
			addresses = append(addresses, program.FreeAddress(t))
		}
		origin := "http://" + addresses[0]
		client := client{
			ID:                     s.id,
			Secret:                 "a-secret-of-the-client-" + s.id,
			RedirectURIs:           []string{origin + "/auth/callback"},
			PostLogoutRedirectURIs: []string{origin + goodbye},
			GrantTypes:             []string{"authorization_code", "refresh_token"},
			ResponseTypes:          []string{"code"},
			AuthMethod:             "client_secret_basic",
			BackChannelLogoutURI:   origin + "/auth/backchannel-logout",
			BackChannelSession:     true,
		}
		if s.settings != nil {
			s.settings(t, &client)
		}
		where.clients[s.name], where.at[s.name] = client, addresses
		c.clients = append(c.clients, client)
		c.users = append(c.users, s.id)
	}
	where.front = newFront(t, c.address)
	c.issuer = where.front.issuer
	where.server = p.start(t, c)
	return where
}

// run runs the scenarios, and returns a cell for each.
func (p *place) run(t *testing.T, scenarios []scenario) map[string]string {
	cells := make(chan [2]string, len(scenarios))
	one := func(t *testing.T, s scenario) {
		if why := p.provider.lacks[s.name]; why != "" {
			cells <- [2]string{s.name, notOffered + why}
			return
		}
		how := failed
		defer func() {
			if t.Failed() {
				how = failed
			}
			cells <- [2]string{s.name, how}
		}()
		how = s.run(t, p.site(t, s))
	}
	alone := func(s scenario) bool { return s.alone }
	t.Run("together", func(t *testing.T) { // ends when all of them have
		for _, s := range slices.DeleteFunc(slices.Clone(scenarios), alone) {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				one(t, s)
			})
		}
	})
	for _, s := range scenarios {
		if s.alone {
			t.Run(s.name, func(t *testing.T) { one(t, s) })
		}
	}
	close(cells)
	all := map[string]string{}
	for cell := range cells {
		all[cell[0]] = cell[1]
	}
	return all
}
