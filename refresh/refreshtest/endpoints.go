package refreshtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"time"
)

// A code is an authorization code.
type code struct {
	login                  *login
	redirectURI, challenge string
}

// serveAuthorize signs a user in and redirects back with a code (RFC 6749,
// section 4.1.1). It requires PKCE with S256.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	back, err := url.Parse(r.FormValue("redirect_uri"))
	switch {
	case err != nil || !back.IsAbs() || r.FormValue("client_id") != p.clientID():
		http.Error(w, "client_id or redirect_uri is wrong", http.StatusBadRequest)
		return
	case r.FormValue("response_type") != "code",
		r.FormValue("code_challenge_method") != "S256", len(r.FormValue("code_challenge")) != 43:
		p.goBack(w, r, back, url.Values{"error": {"invalid_request"}})
		return
	}
	c := rand.Text()
	p.mu.Lock()
	if p.codes == nil {
		p.codes = map[string]*code{}
	}
	subject := or(r.FormValue("login_hint"), or(p.Subject, "alice"))
	p.codes[c] = &code{
		login:       p.newLogin(subject, r.FormValue("nonce"), r.FormValue("scope")),
		redirectURI: r.FormValue("redirect_uri"),
		challenge:   r.FormValue("code_challenge"),
	}
	p.mu.Unlock()
	p.goBack(w, r, back, url.Values{"code": {c}})
}

func (p *Provider) goBack(w http.ResponseWriter, r *http.Request, back *url.URL, with url.Values) {
	q := back.Query()
	for name, values := range with {
		q[name] = values
	}
	if state := r.FormValue("state"); state != "" {
		q.Set("state", state)
	}
	q.Set("iss", p.URL("")) // RFC 9207
	back.RawQuery = q.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	p.mu.Lock()
	p.stats.Calls++
	p.active++
	p.stats.Peak = max(p.stats.Peak, p.active)
	fault, delay := p.faults.next(), p.faults.delay
	p.mu.Unlock()

	if delay > 0 {
		<-time.After(delay)
	}
	known := p.known(r)
	var answer map[string]any
	if known && fault.spends() {
		answer = p.redeem(r, fault)
	}
	// The call ends before the answer is written, since the client may make its
	// next call as soon as it has the answer.
	p.mu.Lock()
	p.active--
	p.mu.Unlock()

	switch {
	case p.before(w, r, fault):
	case !known:
		p.refuseClient(w)
	case answer == nil:
		p.refuse(w)
	case fault == LostAnswer:
		reset(w)
	case fault == LyingError:
		writeJSON(w, http.StatusInternalServerError, answer)
	default:
		writeJSON(w, http.StatusOK, answer)
	}
}

// redeem returns the tokens for the code or refresh token of a request, or nil
// if it is refused.
func (p *Provider) redeem(r *http.Request, fault Fault) map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	var g *grant
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		c := p.codes[r.PostForm.Get("code")]
		delete(p.codes, r.PostForm.Get("code"))
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if c == nil || !c.login.live() || c.redirectURI != r.PostForm.Get("redirect_uri") ||
			c.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
			return nil
		}
		g = &grant{c.login, p.newToken(c.login)}
		p.stats.Exchanged++
	case "refresh_token":
		if g = p.use(r.PostForm.Get("refresh_token")); g == nil {
			return nil
		}
	default:
		return nil
	}
	subject := g.login.subject
	if fault == OtherSubject {
		subject += "-other"
	}
	return p.mint(g, subject)
}

// known reports whether a request has the client's credentials, in the header
// or in the form.
func (p *Provider) known(r *http.Request) bool {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		if id != "" && id != user || secret != "" {
			return false // RFC 6749, section 2.3: one method for a request
		}
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	return id == p.clientID() && secret == p.ClientSecret
}

// serveRevoke is the revocation endpoint (RFC 7009). An unknown token is no
// error.
func (p *Provider) serveRevoke(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	if !p.known(r) {
		p.refuseClient(w)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	presented := r.PostForm.Get("token")
	if t := p.tokens[presented]; t != nil {
		p.revoke(t.login)
	}
	p.revoke(p.access[presented])
}

// serveLogout ends the login that id_token_hint names (OpenID Connect
// RP-Initiated Logout 1.0, section 2).
func (p *Provider) serveLogout(w http.ResponseWriter, r *http.Request) {
	claims, err := p.signer().Verify(r.FormValue("id_token_hint"))
	if err == nil {
		sid, _ := claims["sid"].(string)
		p.mu.Lock()
		p.revoke(p.logins[sid])
		p.mu.Unlock()
	}
	back, err := url.Parse(r.FormValue("post_logout_redirect_uri"))
	if err != nil || !back.IsAbs() {
		w.Write([]byte("signed out\n"))
		return
	}
	if state := r.FormValue("state"); state != "" {
		q := back.Query()
		q.Set("state", state)
		back.RawQuery = q.Encode()
	}
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// LogoutToken returns a logout token for the client (OpenID Connect
// Back-Channel Logout 1.0, section 2.4). The given claims are added to the
// standard ones, or replace them; a nil value removes a claim. They must
// include sub or sid. The value of typ is put into the header; default
// "logout+jwt".
func (p *Provider) LogoutToken(claims map[string]any) string {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]any{
		"iss": p.issuer(), "aud": p.clientID(), "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	typ := "logout+jwt"
	for name, value := range claims {
		switch {
		case name == "typ":
			typ, _ = value.(string)
		case value == nil:
			delete(all, name)
		default:
			all[name] = value
		}
	}
	return p.sign(typ, all)
}

// revoke ends a login, which may be nil. The caller holds p.mu.
func (p *Provider) revoke(l *login) {
	if l != nil && !l.over {
		l.over = true
		p.stats.Revoked++
	}
}
