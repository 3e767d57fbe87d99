package refreshtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
)

// serveHosted answers as the pool's hosted domain does.
func (c *Cognito) serveHosted(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/oauth2/authorize":
		c.authorize(w, r)
	case "/oauth2/token":
		c.serveHostedToken(w, r)
	case "/oauth2/revoke":
		c.serveHostedRevoke(w, r)
	case "/logout":
		c.serveLogout(w, r)
	default:
		http.NotFound(w, r)
	}
}

// authorize signs in the user that login_hint names, or else alice.
func (c *Cognito) authorize(w http.ResponseWriter, r *http.Request) {
	redirect := r.FormValue("redirect_uri")
	back, err := url.Parse(redirect)
	if err != nil || !slices.Contains(c.CallbackURLs, redirect) || r.FormValue("client_id") != c.clientID() {
		http.Error(w, "client_id or redirect_uri is wrong", http.StatusBadRequest)
		return
	}
	q := back.Query()
	q.Set("state", r.FormValue("state"))
	if r.FormValue("response_type") != "code" || r.FormValue("code_challenge_method") != "S256" {
		q.Set("error", "invalid_request")
	} else {
		value := rand.Text()
		c.count(func() {
			if c.codes == nil {
				c.codes = map[string]*code{}
			}
			c.codes[value] = &code{
				login:       c.newLogin(usernameOf(or(r.FormValue("login_hint"), "alice")), r.FormValue("nonce"), r.FormValue("scope")),
				redirectURI: redirect, challenge: r.FormValue("code_challenge"),
			}
		})
		q.Set("code", value)
	}
	back.RawQuery = q.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// known reports whether a form has the app client's credentials. If not, it
// answers the request.
func (c *Cognito) known(w http.ResponseWriter, r *http.Request) bool {
	err := r.ParseForm()
	if err == nil && (&Provider{ClientID: c.clientID(), ClientSecret: c.ClientSecret}).known(r) {
		return true
	}
	c.count(func() { c.stats.Refused++ })
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_client"})
	return false
}

func (c *Cognito) serveHostedToken(w http.ResponseWriter, r *http.Request) {
	if !c.known(w, r) {
		return
	}
	fault := c.begin()
	var m *minted
	if fault.spends() {
		m = c.redeem(r.PostForm, fault)
	}
	c.count(func() { c.active-- })
	switch {
	case new(Provider).before(w, r, fault):
	case m == nil:
		c.count(func() { c.stats.Refused++ })
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
	case fault == LostAnswer:
		reset(w)
	default:
		answer := map[string]any{
			"access_token": m.access, "id_token": m.id, "token_type": "Bearer", "expires_in": m.seconds,
		}
		if m.refresh != "" {
			answer["refresh_token"] = m.refresh
		}
		status := http.StatusOK
		if fault == LyingError {
			status = http.StatusInternalServerError
		}
		writeJSON(w, status, answer)
	}
}

// redeem returns the tokens for a code or a refresh token, or nil if it is
// refused.
func (c *Cognito) redeem(form url.Values, f Fault) *minted {
	c.mu.Lock()
	defer c.mu.Unlock()
	var g *grant
	switch form.Get("grant_type") {
	case "authorization_code":
		given := c.codes[form.Get("code")]
		delete(c.codes, form.Get("code"))
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if given == nil || given.redirectURI != form.Get("redirect_uri") ||
			given.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
			return nil
		}
		g = &grant{given.login, c.newToken(given.login)}
	case "refresh_token":
		presented := form.Get("refresh_token")
		key := ""
		if t := c.tokens[presented]; t != nil {
			key = c.deviceKey(t.login) // the domain recognizes the device by a cookie
		}
		g, _ = c.use(presented, key)
	}
	if g == nil {
		return nil
	}
	m := c.mint(g, c.subjectOf(g, f))
	return &m
}

func (c *Cognito) serveHostedRevoke(w http.ResponseWriter, r *http.Request) {
	if c.known(w, r) {
		c.count(func() { c.end(r.PostForm.Get("token")) })
	}
}

// serveLogout redirects to a registered URL. There is no hosted session to end.
func (c *Cognito) serveLogout(w http.ResponseWriter, r *http.Request) {
	to := r.FormValue("logout_uri")
	if r.FormValue("client_id") != c.clientID() || !slices.Contains(c.LogoutURLs, to) {
		http.Error(w, "client_id or logout_uri is wrong", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, to, http.StatusFound)
}
