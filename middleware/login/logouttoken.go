package login

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

const (
	// maxLogoutForm bounds the body of a request, in bytes. A logout token has
	// about a thousand.
	maxLogoutForm = 16 << 10

	// maxLogoutAge is how old a logout token may be. Section 2.4 recommends
	// that it expires within two minutes.
	maxLogoutAge = 5 * time.Minute

	// logoutLeeway is how far the provider's clock may be ahead of ours.
	logoutLeeway = time.Minute

	// undoTimeout is how long the Store has to forget a logout token again.
	undoTimeout = 2 * time.Second

	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
)

// errLogout is the error of a logout request that will be refused however often
// it is sent.
var errLogout = errors.New("login: logout request refused")

// logoutToken returns the parameter logout_token of a request (section 2.5).
func logoutToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if form, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || form != "application/x-www-form-urlencoded" {
		return "", fmt.Errorf("%w: not a form", errLogout)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutForm)
	if err := r.ParseForm(); err != nil {
		return "", fmt.Errorf("%w: malformed or too long", errLogout) // the error repeats a piece of it
	}
	tokens := r.PostForm["logout_token"]
	if len(tokens) != 1 || tokens[0] == "" {
		return "", fmt.Errorf("%w: not one logout_token", errLogout)
	}
	return tokens[0], nil
}

// readLogout checks the claims that distinguish a logout token from other
// tokens (sections 2.4 and 2.6). The header's typ cannot do that, because it is
// only recommended. No other token has the claim events, which the Verifiers of
// other tokens refuse, and a logout token has no nonce. Some providers write no
// exp: the iat, which is required, and the jti, which is good once, bind those.
func (f *Flow) readLogout(t *verify.Token) (Logout, error) {
	refused := func(why string) (Logout, error) { return Logout{}, fmt.Errorf("%w: %s", errLogout, why) }
	var claims map[string]json.RawMessage // a struct would match names in any case
	if err := t.Claims(&claims); err != nil {
		return refused("its claims cannot be read")
	}
	var events map[string]json.RawMessage
	if err := json.Unmarshal(claims["events"], &events); err != nil {
		return refused("no events")
	}
	var event map[string]json.RawMessage
	if err := json.Unmarshal(events[logoutEvent], &event); err != nil || event == nil {
		return refused("no logout event")
	}
	if _, ok := claims["nonce"]; ok {
		return refused("it has a nonce")
	}
	var session string
	if sid, ok := claims["sid"]; ok && json.Unmarshal(sid, &session) != nil {
		return refused("sid is not a string")
	}
	age := time.Since(t.IssuedAt)
	switch {
	case session == "" && t.Subject == "":
		return refused("neither sub nor sid")
	case t.ID == "":
		return refused("no jti")
	case age > maxLogoutAge, age < -logoutLeeway: // without iat the age is very large
		return refused("no iat, or one that is long ago or in the future")
	}
	return Logout{Issuer: t.Issuer, Subject: t.Subject, Session: session, Time: t.IssuedAt}, nil
}

// A tokenMark is the value in the Store that marks a logout token as used. Its
// text is random, so that undo deletes no other request's mark.
type tokenMark struct {
	store refresh.Store
	key   string
	text  []byte
}

// markTokenUsed marks t as used. Its error wraps errLogout if t was used
// before.
func (f *Flow) markTokenUsed(ctx context.Context, t *verify.Token) (tokenMark, error) {
	m := tokenMark{f.store, refresh.StoreKey("login.logout-token", t.Issuer, t.ID), []byte(rand.Text())}
	ok, err := m.store.Swap(ctx, m.key, nil, m.text, maxLogoutAge+2*logoutLeeway)
	switch {
	case err != nil:
		m.undo(ctx) // it may have been written in spite of the error
		return m, fmt.Errorf("login: keeping a logout token: %w", err)
	case !ok:
		return m, fmt.Errorf("%w: it has been used", errLogout)
	}
	return m, nil
}

// undo deletes the mark, so that the provider can send the same token again. It
// has a timeout of its own, as the failure may have used up the time of ctx.
func (m tokenMark) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	_, _ = m.store.Swap(ctx, m.key, m.text, nil, 0)
}
