package middleware

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/revocation"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A visit is what one request has come to. It is the context in which the
// handler finds the token: one allocation for both.
type visit struct {
	context.Context
	token   *verify.Token // nil: no login
	space   verify.Token  // where token points to, where the Verifier can fill it
	bearer  bool          // the Authorization header decided
	aside   bool          // the handler authenticates by itself: it gets no token from us
	raw     string        // the access token of the cookie, for such a handler
	renewal *refresh.Renewal
	early   *early // a refresh beside the handler; nil: none
	dead    bool   // the login is over: its cookies are to be cleared
	barred  bool   // what the cookies hold is revoked: such a handler is not to see it
	foreign bool   // another origin made the browser send it: such a handler gets nothing of the cookies from us
}

// visit finds out who sends r: extract, verify and, for a login in cookies whose
// access token is due, renew. The error is a [*Refusal].
func (a *Auth) visit(r *http.Request, v *visit) error {
	raw, err := bearerToken(r.Header)
	if err != nil {
		return a.refusal(err)
	}
	if raw != "" {
		v.bearer = true
		if err := a.verify(v, raw); err != nil {
			v.token = nil
			if errors.Is(err, verify.ErrInvalid) && !isBearerToken(raw) {
				err = errMalformed
			}
			return a.refusal(err)
		}
		if a.revoked(v.Context, v.token) != nil {
			// Not what it wraps: the login in the cookies is another matter.
			v.token = nil
			return a.refusal(revocation.ErrToken)
		}
		return nil
	}

	access, _ := a.policy.ReadAccess(r)
	verdict := errNoCredential
	if access != "" {
		if err := a.sameOrigin(r); err != nil {
			return a.refusal(err)
		}
		verdict = a.verifyHeld(v, access)
		if verdict == nil {
			verdict = a.revoked(v.Context, v.token)
		}
		if errors.Is(verdict, revocation.ErrLogin) {
			v.token = nil
			return a.refusal(verdict)
		}
		if verdict == nil && a.coordinator == nil {
			return nil
		}
		if verdict == nil {
			a.coordinator.Presented(access)
			if !a.due(r, v.token) {
				return nil
			}
		}
	}
	return a.visitDue(r, v, verdict)
}

// visitDue goes on with a login whose access token is due, no good or not there,
// which is what verdict says. What is still good serves where a refresh fails.
func (a *Auth) visitDue(r *http.Request, v *visit, verdict error) error {
	was := v.token
	v.token = nil
	if verdict != nil && !errors.Is(verdict, verify.ErrExpired) && !errors.Is(verdict, revocation.ErrToken) {
		was = nil // nobody knows whose it was
	}
	old, unreadable := a.policy.Read(r) // what cannot be read is not there
	renewable := a.coordinator != nil && old.Refresh != ""
	switch {
	case verdict == nil && !renewable:
		v.token = was
		return nil
	case verdict == errNoCredential && !renewable && unreadable != nil:
		return a.refusal(errors.Join(errNoCredential, unreadable))
	case !renewable, !decided(verdict):
		return a.refusal(verdict)
	}
	if verdict == errNoCredential { // else it has been looked at before
		if err := a.sameOrigin(r); err != nil {
			return a.refusal(err)
		}
	}
	if verdict == nil && (time.Now().Before(was.Expiry) || a.skipEarly()) {
		v.token = was
		a.renewBeside(v, old)
		return nil
	}
	err := a.renew(v, old, was, causeOf(verdict))
	if verdict == nil {
		a.learnEarly(v, err)
	}
	switch {
	case err == nil:
		return nil
	case verdict == nil && !errors.Is(err, refresh.ErrDenied):
		v.token = was // leeway is for a token that cannot be exchanged just now
		return nil
	default:
		return a.refusal(err)
	}
}

// verify checks raw and puts the token into v; with [verify.ErrExpired] as well.
func (a *Auth) verify(v *visit, raw string) (err error) {
	if a.verifyTo != nil {
		v.token = &v.space
		return a.verifyTo(v.Context, raw, v.token)
	}
	v.token, err = a.Verifier.Verify(v.Context, raw)
	return err
}

// due tells whether it is time to exchange t, the good token in r's cookies, so
// that it does not end while a request is under way. Scripts are told so by the
// marker, which has gone then; who has none to tell begins a little later, each
// token at a time of its own, so that logins that began together do not all ask
// the provider together.
func (a *Auth) due(r *http.Request, t *verify.Token) bool {
	left, margin := time.Until(t.Expiry), a.margin(t)
	if t.Expiry.IsZero() || left > margin+time.Second { // a marker's life is in whole seconds
		return false
	}
	if left <= margin-jitter(t.Raw, margin/4) {
		return true
	}
	_, marked := a.policy.Marker(r)
	return !marked
}

// jitter is a time below limit that is always the same for one token.
func jitter(raw string, limit time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = io.WriteString(h, raw[max(0, len(raw)-16):]) // the signature's end
	return limit * time.Duration(h.Sum32()%1024) / 1024
}

// margin is how long before its expiry t is due: Ahead, but at most a quarter of
// its life, so that a token of twenty seconds is not due at its birth.
func (a *Auth) margin(t *verify.Token) time.Duration {
	if t.IssuedAt.IsZero() {
		return 0
	}
	return max(0, min(a.ahead, t.Expiry.Sub(t.IssuedAt)/4))
}

// isAlmostOver tells whether t is due, for whomever.
func (a *Auth) isAlmostOver(t *verify.Token) bool {
	return !t.Expiry.IsZero() && time.Until(t.Expiry) <= a.margin(t)
}

// decided tells whether a Verifier could tell if a token is good.
func decided(err error) bool {
	return err == nil || errors.Is(err, verify.ErrExpired) || errors.Is(err, verify.ErrInvalid) || errors.Is(err, errNoCredential)
}

// sameOrigin refuses what another origin makes a browser do with its cookies.
func (a *Auth) sameOrigin(r *http.Request) error {
	if r.Header.Get("Upgrade") != "" && r.Method == http.MethodGet {
		// A WebSocket handshake is a GET that browsers send across origins
		// without asking, and it opens a channel that can do anything
		// (RFC 6455 section 10.2).
		unsafe := *r
		unsafe.Method = http.MethodPost
		r = &unsafe
	}
	if err := a.crossOrigin.Check(r); err != nil {
		return errors.Join(errCrossOrigin, err)
	}
	return nil
}

// pass returns the request as the next handler sees it: the token in its
// context and, where the login has been renewed, the new tokens wherever the
// old ones were. A body replaces r's.
func (a *Auth) pass(r *http.Request, v *visit, body io.ReadCloser) *http.Request {
	switch {
	case v.token != nil && !v.aside:
		r = r.WithContext(v)
	case v.renewal != nil || body != nil || v.barred || v.aside && a.ForwardToken:
		r = r.WithContext(v.Context) // a copy
	default:
		return r
	}
	if body != nil {
		r.Body = body
	}
	token := v.raw
	if v.token != nil {
		token = v.token.Raw
	}
	forward := a.ForwardToken && !v.bearer && token != ""
	if v.renewal == nil && !v.barred && !forward {
		return r
	}
	r.Header = r.Header.Clone()
	switch {
	case v.renewal != nil:
		// The same tokens are encoded for the response.
		_ = a.policy.Replace(r.Header, v.renewal.Tokens)
	case v.barred:
		a.policy.Strip(r.Header)
	}
	if forward {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

type tokenKey struct{}

// Value gives the token to [FromContext].
func (v *visit) Value(key any) any {
	if key == (tokenKey{}) {
		return v.token
	}
	return v.Context.Value(key)
}

// FromContext returns the verified access token of the request with this
// context, and whether there is one. The token is shared: it must not be changed.
func FromContext(ctx context.Context) (*verify.Token, bool) {
	t, _ := ctx.Value(tokenKey{}).(*verify.Token)
	return t, t != nil
}

// Claims decodes the claims of the request's access token into a T, a struct
// with json tags or a map[string]any. An error says that the context has no token,
// or that its claims are of other types than T's.
func Claims[T any](ctx context.Context) (T, error) {
	var claims T
	t, ok := FromContext(ctx)
	if !ok {
		return claims, errors.New("middleware: no token in this context")
	}
	return claims, t.Claims(&claims)
}
