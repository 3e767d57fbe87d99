package providers

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/program"
)

// The example provider of the library that zitadel is made of.
var zitadel = provider{
	id:    "zitadel",
	name:  "zitadel/oidc 3.45.0",
	start: startZitadel,
	lacks: map[string]string{
		signOutThere: "the library has no back-channel logout",
		kept:         "as above",
		pushed:       "the library has no endpoint for them",
	},
	quirks: quirks{audience: ofTheClient, keepsGrant: true, forgets: true, forbids: true},
}

type zitadelServer struct {
	*program.Process
	start func() *program.Process
	admin string
}

func startZitadel(t *testing.T, c config) server {
	file := source{folder: "zitadel", main: "."}.build(t)
	s := &zitadelServer{admin: program.FreeAddress(t)}
	var clients []any
	for _, client := range c.clients {
		clients = append(clients, with(client, map[string]any{"opaque": client.opaque}))
	}
	text, err := json.Marshal(map[string]any{
		"Listen": c.address, "Admin": s.admin, "Issuer": c.issuer, "AccessLife": accessLife, "Clients": clients, "Users": c.users,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.start = func() *program.Process {
		return program.RunOthers(t, file, program.Env("CONFIG="+string(text)), "http://"+c.address+"/healthz")
	}
	s.Process = s.start()
	return s
}

func (s *zitadelServer) kill(*testing.T)    { s.Kill() }
func (s *zitadelServer) restart(*testing.T) { s.Process = s.start() }

func (s *zitadelServer) rotate(t *testing.T) { post(t, "http://"+s.admin+"/rotate", nil) }

func (s *zitadelServer) revoke(t *testing.T, user, clientID string) {
	post(t, "http://"+s.admin+"/revoke", url.Values{"user": {user}, "client": {clientID}})
}

// post does what an administrator asks for by a form.
func post(t *testing.T, address string, form url.Values) {
	t.Helper()
	resp, err := http.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("the administrator is answered with %s", resp.Status)
	}
}
