package providers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/program"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// Ory Hydra, with PostgreSQL, and the application for signing in that it leaves
// to its user.
var hydra = provider{
	id:     "hydra",
	name:   "Ory Hydra 2.3.0",
	start:  startHydra,
	lacks:  map[string]string{pushed: "it has no endpoint for them"},
	quirks: quirks{audience: ofTheAPI, keepsKeyID: true, assertsTo: clientauth.AudienceEndpoint},
}

type hydraServer struct {
	*program.Process
	start func() *program.Process
	admin string // the origin of the administration
}

func startHydra(t *testing.T, c config) server {
	file := source{folder: "hydra", main: "github.com/ory/hydra/v2"}.build(t)
	admin := program.FreeAddress(t)
	s := &hydraServer{admin: "http://" + admin}
	pages := httptest.NewServer(s.pages())
	t.Cleanup(pages.Close)

	folder := t.TempDir()
	configuration := filepath.Join(folder, "hydra.json") // which is YAML, too
	host, port, _ := strings.Cut(c.address, ":")
	adminHost, adminPort, _ := strings.Cut(admin, ":")
	text, err := json.Marshal(map[string]any{
		"dsn": refreshtest.StartPostgres(t) + "&max_conns=60", // it uses two at once for a token
		"log": map[string]any{"level": "warn"},
		"serve": map[string]any{
			"public": map[string]any{"host": host, "port": json.Number(port)},
			"admin":  map[string]any{"host": adminHost, "port": json.Number(adminPort)},
		},
		"urls": map[string]any{
			"self":  map[string]any{"issuer": c.issuer},
			"login": pages.URL + "/login", "consent": pages.URL + "/consent", "logout": pages.URL + "/logout",
		},
		"secrets": map[string]any{"system": []string{"a-secret-of-the-test-hydra"}},
		"ttl":     map[string]any{"access_token": accessLife.String(), "id_token": accessLife.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(configuration, text, 0o600); err != nil {
		t.Fatal(err)
	}
	program.Once(t, file, program.Env(), "migrate", "sql", "up", "-e", "-y", "-c", configuration)
	s.start = func() *program.Process {
		return program.RunOthers(t, file, program.Env(), "http://"+c.address+"/health/ready",
			"serve", "all", "--dev", "--sqa-opt-out", "-c", configuration)
	}
	s.Process = s.start()
	s.rotate(t) // it makes keys while a sign-in waits for them, else
	for _, client := range c.clients {
		strategy := "jwt"
		if client.opaque {
			strategy = "opaque"
		}
		s.call(t, http.MethodPost, "/clients", with(client, map[string]any{
			"access_token_strategy": strategy, "audience": []string{audience}, "scope": "openid offline_access",
		}))
	}
	return s
}

// introspection is where Hydra has that endpoint: it is for the operator's
// services alone, and not in the metadata.
func (s *hydraServer) introspection() string { return s.admin + "/admin/oauth2/introspect" }

func (s *hydraServer) kill(*testing.T)    { s.Kill() }
func (s *hydraServer) restart(*testing.T) { s.Process = s.start() }

func (s *hydraServer) rotate(t *testing.T) {
	for _, set := range []string{"hydra.openid.id-token", "hydra.jwt.access-token"} {
		s.call(t, http.MethodPost, "/keys/"+set, map[string]string{"alg": "RS256", "use": "sig", "kid": ""})
	}
}

func (s *hydraServer) revoke(t *testing.T, user, clientID string) {
	s.call(t, http.MethodDelete, "/oauth2/auth/sessions/consent?"+url.Values{"subject": {user}, "client": {clientID}}.Encode(), nil)
}

func (s *hydraServer) call(t *testing.T, method, path string, body any) {
	t.Helper()
	if err := s.ask(method, path, body, nil); err != nil {
		t.Fatal(err)
	}
}

// ask calls the administration.
func (s *hydraServer) ask(method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, s.admin+"/admin"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		var why bytes.Buffer
		_, _ = why.ReadFrom(resp.Body)
		return fmt.Errorf("hydra: %s %s: %s: %s", method, path, resp.Status, why.Bytes())
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// pages is the application for signing in: it believes anybody who has the
// password, and asks for no consent.
func (s *hydraServer) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		challenge := r.FormValue("login_challenge")
		var request struct {
			Skip    bool
			Subject string
		}
		if err := s.ask(http.MethodGet, "/oauth2/auth/requests/login?login_challenge="+url.QueryEscape(challenge), nil, &request); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if request.Skip {
			s.accept(w, r, "login", map[string]any{"subject": request.Subject})
			return
		}
		fmt.Fprintf(w, `<form method="post" action="/login"><input type="hidden" name="login_challenge" value="%s">`+
			`<input name="login"><input type="password" name="password"></form>`, challenge)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("password") != "any" {
			http.Error(w, "another password", http.StatusForbidden)
			return
		}
		s.accept(w, r, "login", map[string]any{"subject": r.FormValue("login"), "remember": true, "remember_for": 3600})
	})
	mux.HandleFunc("GET /consent", func(w http.ResponseWriter, r *http.Request) {
		s.accept(w, r, "consent", map[string]any{
			"grant_scope": []string{"openid", "offline_access"}, "grant_access_token_audience": []string{audience},
			"remember": true, "remember_for": 3600,
		})
	})
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) { s.accept(w, r, "logout", map[string]any{}) })
	return mux
}

// accept accepts what is asked, and goes on where that leads.
func (s *hydraServer) accept(w http.ResponseWriter, r *http.Request, kind string, body any) {
	name := kind + "_challenge"
	var to struct {
		Redirect string `json:"redirect_to"`
	}
	path := "/oauth2/auth/requests/" + kind + "/accept?" + url.Values{name: {r.FormValue(name)}}.Encode()
	if err := s.ask(http.MethodPut, path, body, &to); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, to.Redirect, http.StatusSeeOther)
}
