package routertest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A visit is one request and what it comes to.
type visit struct {
	name    string
	request string         // "GET /private"
	login   map[string]any // the claims of the login in the cookies; nil: none
	ended   bool           // its access token has ended
	due     bool           // it will in a few seconds
	bearer  map[string]any // the claims of the token in the header; nil: none
	header  http.Header
	prepare func(w *world)

	status    int
	body      string // where the status is 200
	cookies   effect // default: untouched
	challenge string // what WWW-Authenticate has to contain
	refreshes int
}

var (
	ann    = map[string]any{"sub": "ann", "scope": "read", "groups": "users"}
	editor = map[string]any{"sub": "ann", "scope": "read write", "groups": []string{"users", "staff"}}
)

const (
	noCredential = `Bearer realm="api"`
	invalidToken = `error="invalid_token"`
)

var visits = []visit{
	{name: "a good login passes", request: "GET /private", login: ann, status: 200, body: "ann"},
	{name: "a good bearer token passes", request: "GET /private", bearer: ann, status: 200, body: "ann"},
	{
		name: "the bearer token decides, not the cookies beside it", request: "GET /private",
		bearer: map[string]any{"sub": "bob"}, login: ann, ended: true, status: 200, body: "bob",
	},
	{name: "nobody is refused", request: "GET /private", status: 401, challenge: noCredential},
	{
		name: "a bearer token that has ended is refused", request: "GET /private",
		bearer: map[string]any{"exp": 1}, status: 401, challenge: invalidToken,
	},
	{
		name: "two Authorization headers are refused", request: "GET /private",
		header: http.Header{"Authorization": {"Bearer a", "Bearer b"}}, status: 400, challenge: `error="invalid_request"`,
	},
	{
		name: "a login whose token has ended is renewed on the way", request: "GET /private",
		login: ann, ended: true, status: 200, body: "ann", cookies: renewed, refreshes: 1,
	},
	{
		name: "so is one whose handler only sets a status", request: "GET /empty",
		login: ann, ended: true, status: 204, cookies: renewed, refreshes: 1,
	},
	{
		name: "and one with a body", request: "POST /private",
		login: ann, ended: true, status: 200, body: body, cookies: renewed, refreshes: 1,
	},
	{
		name: "a token about to end is exchanged beside the handler", request: "GET /private",
		login: ann, due: true, status: 200, body: "ann", cookies: renewed, refreshes: 1,
	},
	{
		name: "the same where the handler only sets a status", request: "GET /empty",
		login: ann, due: true, status: 204, cookies: renewed, refreshes: 1,
	},
	{
		name: "a login that the provider has ended is cleared", request: "GET /private",
		login: ann, ended: true, prepare: func(w *world) { w.Endpoint.End("ann") },
		status: 401, challenge: invalidToken, cookies: cleared,
	},
	{
		name: "a provider that is down ends no login", request: "GET /private",
		login: ann, ended: true, prepare: func(w *world) { w.Endpoint.Fail(refreshtest.Unavailable, -1) },
		status: 503,
	},
	{
		name: "keys that cannot be had end no login", request: "GET /private",
		login: ann, prepare: func(w *world) { w.KeysDown(true) },
		status: 503,
	},
	{
		name: "a request of another origin is refused before anything else", request: "POST /private",
		login: ann, ended: true, header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, status: 403,
	},
	{name: "a scope lets through", request: "GET /write", login: editor, status: 200, body: "ann"},
	{name: "a missing scope does not", request: "GET /write", login: ann, status: 403, challenge: `scope="write"`},
	{
		name: "a missing scope does not, and the login is renewed", request: "GET /write",
		login: ann, ended: true, status: 403, challenge: `scope="write"`, cookies: renewed, refreshes: 1,
	},
	{name: "a group lets through", request: "GET /staff", bearer: editor, status: 200, body: "ann"},
	{name: "a missing group does not", request: "GET /staff", bearer: ann, status: 403, challenge: "insufficient_scope"},
	{name: "a public page is for nobody", request: "GET /public", status: 200, body: "nobody"},
	{name: "a public page knows who comes", request: "GET /public", login: ann, status: 200, body: "ann"},
	{
		name: "a public page keeps the login alive", request: "GET /public",
		login: ann, ended: true, status: 200, body: "ann", cookies: renewed, refreshes: 1,
	},
	{
		name: "a public page forgets a login that has ended", request: "GET /public",
		login: ann, ended: true, prepare: func(w *world) { w.Endpoint.End("ann") },
		status: 200, body: "nobody", cookies: cleared,
	},
	{name: "a handler that verifies by itself gets new cookies", request: "GET /renewed", login: ann, ended: true, status: 200, body: "ann", cookies: renewed, refreshes: 1},
	{name: "and is asked by nobody too", request: "GET /renewed", status: 200, body: "nobody"},
	{
		name: "middleware behind middleware renews once", request: "GET /nested",
		login: editor, ended: true, status: 200, body: "ann", cookies: renewed, refreshes: 1,
	},
	{
		name: "middleware behind middleware exchanges once beside the handler", request: "GET /nested",
		login: editor, due: true, status: 200, body: "ann", cookies: renewed, refreshes: 1,
	},
	{name: "the inner middleware refuses as well", request: "GET /nested", login: ann, status: 403, challenge: `scope="write"`},
	{name: "what is not there is not there", request: "GET /elsewhere", login: ann, ended: true, status: 404},
}

// body is what a POST sends.
const body = "what the client sends"

// claims returns those of v's login, with its times.
func (v *visit) claims() map[string]any {
	if v.login == nil {
		return nil
	}
	claims := map[string]any{}
	for name, value := range v.login {
		claims[name] = value
	}
	now := time.Now().Unix()
	switch {
	case v.ended:
		claims["iat"], claims["exp"] = now-600, now-300
	case v.due:
		claims["iat"], claims["exp"] = now-295, now+5
	}
	return claims
}

func (w *world) visit(t *testing.T, v visit) {
	method, path, _ := strings.Cut(v.request, " ")
	sent := ""
	if method == http.MethodPost {
		sent = body
	}
	r := w.request(t, method, path, sent, v.claims())
	for name, values := range v.header {
		r.Header[name] = values
	}
	if v.bearer != nil {
		r.Header.Set("Authorization", "Bearer "+w.Token(v.bearer))
	}
	if v.prepare != nil {
		v.prepare(w)
	}
	res, got := w.do(t, r)
	if res.StatusCode != v.status {
		t.Errorf("answered %d, want %d", res.StatusCode, v.status)
	}
	if (v.status < 300) && got != v.body {
		t.Errorf("answered %q, want %q", got, v.body)
	}
	if want := v.status >= 400 && v.status != 404; (res.Header.Get("Content-Type") == "application/problem+json") != want {
		t.Errorf("Content-Type %q", res.Header.Get("Content-Type"))
	}
	want := v.cookies
	if want == "" {
		want = untouched
	}
	if e := effectOf(t, res); e != want {
		t.Errorf("for the browser's cookies: it %s, want that it %s", e, want)
	}
	if c := res.Header.Get("WWW-Authenticate"); !strings.Contains(c, v.challenge) || v.challenge == "" && c != "" {
		t.Errorf("challenge %q, want %q", c, v.challenge)
	}
	if v.status == 503 && res.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	w.wantRefreshes(t, v.refreshes)
}
