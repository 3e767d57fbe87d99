package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// An Introspection verifies access tokens by asking their provider about them
// (RFC 7662). It is for tokens that are no JWTs, of Ory Hydra or zitadel for
// example, and for JWTs that are to be refused soon after their revocation.
//
// An answer is remembered for Remember, and never beyond the token's expiry. It
// is asked for once, however many requests wait for it. A token that the
// provider refuses is not asked about again for five seconds.
//
// A token that was good is known until 20,000 others have been in use
// (CacheTokens). If it has expired by then, or if the provider refuses it,
// Verify returns it with [ErrExpired], so that its subject can be compared with
// that of its successor. A token that has expired before it was first seen is
// refused by [ErrInvalid]: the provider says nothing of it.
//
// An Introspection is used by pointer. Its methods can be called from several
// goroutines at once. Its fields must not be changed after the first call.
type Introspection struct {
	// Ask sends token to the introspection endpoint, and returns the body and
	// the Content-Type of an answer with status 200. The Introspect of a
	// refresh.OAuth2 does that. An error that wraps [ErrInvalid] refuses the
	// token. Any other error says that the provider could not be asked. It is
	// called from several goroutines at once. Required.
	Ask func(ctx context.Context, token string) (body []byte, contentType string, err error)

	// Issuer is the provider's URL, for [Token.Issuer]. An answer with another
	// iss is refused. Required.
	Issuer string

	// Audience lists the names by which the provider knows this service, and
	// Clients the IDs of the clients for which it may have made the token. A
	// token is refused if Audience is set and its aud has none of them, or if
	// Clients is set and its client_id is none of them. Where the tokens are
	// those of this service's own sign-in, Clients is the client's ID. One of
	// the two is required, unless SkipAudienceCheck is set.
	Audience, Clients []string

	// SkipAudienceCheck accepts tokens that the provider made for any service
	// and any client: somebody who runs another client of the provider can use
	// the tokens of its users here. Set it only if Check compares another claim
	// that names this service. Default: false.
	SkipAudienceCheck bool

	// SubjectClaim is the name of the claim for [Token.Subject]: a string, or a
	// whole number. A token without it is refused. Default: "sub".
	SubjectClaim string

	// GroupsClaim is the name of the claim for [Token.Groups], as in [Issuer].
	// Default: none.
	GroupsClaim string

	// Signed verifies answers that are signed JWTs (RFC 9701): its Issuer is
	// the provider, and its Audience this service's name at the endpoint,
	// usually its client ID. If it is set, answers without a signature are not
	// believed. Default nil: no answer is signed.
	Signed *JWT

	// Leeway is the accepted difference between the clocks of the provider and
	// of this machine, as in [Issuer]. Default: 30 s; negative: none.
	Leeway time.Duration

	// Check refuses a token by an error, for rules that no other field has. It
	// is called once for each answer. It is called from several goroutines at
	// once. Default: nil.
	Check func(*Token) error

	// Remember is how long an answer is used: how long a token is still
	// accepted after the provider has revoked it. Default: 1 min; negative: the
	// provider is asked for each request.
	Remember time.Duration

	// StaleFor is how much longer an answer is used while the provider cannot
	// be asked. Default: 0, and then the error of Verify says so.
	StaleFor time.Duration

	// Timeout bounds one call of Ask. Default: 5 s.
	Timeout time.Duration

	// CacheTokens is how many tokens are remembered, at about 700 bytes and the
	// size of their answers each. Default: 20,000.
	CacheTokens int

	// MaxCalls is how many calls of Ask there are at once. A quarter of them
	// may be about tokens that have never been good here, and that are not
	// expected. Default: 64.
	MaxCalls int

	// Observe hears of each call of Ask: [event.TokenAsked]. Default: the hook
	// of the middleware.Auth whose Verifier this is, or none.
	Observe event.Hook

	once     sync.Once
	invalid  error
	answers  answers
	fallback event.Fallback
}

// Validate returns an error that names the field which is missing or wrong.
func (i *Introspection) Validate() error {
	i.once.Do(func() { i.invalid = i.setUp() })
	return i.invalid
}

func (i *Introspection) setUp() error {
	switch {
	case i.Ask == nil:
		return errors.New("verify: Introspection.Ask is nil")
	case i.Issuer == "":
		return errors.New("verify: Introspection.Issuer is empty")
	case i.SkipAudienceCheck && len(i.Audience)+len(i.Clients) > 0:
		return errors.New("verify: Introspection.SkipAudienceCheck is set, and Audience or Clients as well")
	case !i.SkipAudienceCheck && len(i.Audience)+len(i.Clients) == 0:
		return errors.New("verify: Introspection.Audience and Clients are empty, and SkipAudienceCheck is not set")
	case slices.Contains(i.Audience, ""), slices.Contains(i.Clients, ""):
		return errors.New("verify: Introspection.Audience or Clients has an empty string")
	}
	// The caller may change its slices afterwards.
	i.Audience, i.Clients = slices.Clone(i.Audience), slices.Clone(i.Clients)
	i.answers = answers{
		what: "introspection at " + printable(i.Issuer), issuer: printable(i.Issuer),
		ask: i.ask, read: i.read,
		remember: cmp.Or(i.Remember, defaultRemember), stale: i.StaleFor,
		timeout: orDefault(i.Timeout, defaultTimeout), leeway: leewayOf(i.Leeway),
		observe: i.Observe, fallback: &i.fallback,
	}
	i.answers.open(i.CacheTokens, i.MaxCalls)
	return nil
}

// Verify verifies a token, as [JWT.Verify] does. Its error wraps [ErrExpired],
// with which the token is returned too, or [ErrInvalid]. Any other error says
// that the provider could not be asked now. Verify waits for the provider's
// answer no longer than twice Timeout, and not after ctx has ended.
func (i *Introspection) Verify(ctx context.Context, raw string) (*Token, error) {
	return verified(ctx, raw, i.VerifyTo)
}

// VerifyTo is Verify into a Token of the caller, and allocates nothing for a
// token that is remembered. If Verify would return no token, *t is left empty.
func (i *Introspection) VerifyTo(ctx context.Context, raw string, t *Token) error {
	if err := i.Validate(); err != nil {
		*t = Token{}
		return err
	}
	return i.answers.verifyTo(ctx, raw, t)
}

// VerifyExpired is Verify for a token that may be past its expiry, and returns
// no error if the token was good until it expired, or until the provider
// refused it. That is known of tokens that have been good here, and of no
// others. Use it to read a trusted claim of an old token, and not to grant
// anything.
func (i *Introspection) VerifyExpired(ctx context.Context, raw string) (*Token, error) {
	if err := i.Validate(); err != nil {
		return nil, err
	}
	return i.answers.verifyExpired(ctx, raw)
}

// Expect says that the provider has just given raw to this service. The calls
// of strangers' tokens do not keep it waiting when it is verified for the first
// time.
func (i *Introspection) Expect(raw string) {
	if i.Validate() == nil {
		i.answers.expect(raw)
	}
}

// ObserveDefault implements [event.Observable]: h hears what the Introspection
// tells where Observe is nil.
func (i *Introspection) ObserveDefault(h event.Hook) { i.fallback.Set(h) }

// Close cancels the calls that are under way and waits for their end.
// Afterwards no token can be asked about. It does not close Signed. It always
// returns nil.
func (i *Introspection) Close() error {
	if i.Validate() == nil {
		i.answers.close()
	}
	return nil
}

// ask calls Ask.
func (i *Introspection) ask(ctx context.Context, token string) ([]byte, string, error) {
	body, contentType, err := i.Ask(ctx, token)
	if errors.Is(err, ErrInvalid) {
		err = errInactive // its text may be anything
	}
	return body, contentType, err
}

// read returns the token that an answer says to be good.
func (i *Introspection) read(ctx context.Context, body []byte, contentType string, now time.Time) (Token, error) {
	body, err := plainAnswer(ctx, i.Signed, "Introspection.Signed", typeIntrospection, body, contentType)
	if err != nil {
		return Token{}, err
	}
	if i.Signed != nil {
		// RFC 9701 section 5: the answer is a claim of the JWT.
		outer := body
		body = nil
		members(outer, func(name, value []byte) bool {
			if string(name) == "token_introspection" {
				body = value
			}
			return true
		})
	}
	subject := cmp.Or(i.SubjectClaim, "sub")
	var a answer
	switch {
	case !a.parse(body, subject, i.GroupsClaim):
		return Token{}, errNotJSON
	case !a.hasActive:
		return Token{}, errNotActive
	case !a.active:
		return Token{}, errInactive
	case a.reason != nil:
		return Token{}, a.reason
	}
	t := a.token(i.Issuer, body)
	if err := i.judge(&a, &t, subject); err != nil {
		return Token{}, err
	}
	if err := a.checkTimes(now, i.answers.leeway); err != nil {
		return t, err
	}
	return t, checked(i.Check, t)
}

// judge checks the answer against the fields of i.
func (i *Introspection) judge(a *answer, t *Token, subject string) error {
	ours := func(name string) bool { return slices.Contains(i.Audience, name) }
	switch {
	case len(a.iss) > 0 && string(a.iss) != i.Issuer:
		return &mismatch{"iss", some(a.iss), []string{printable(i.Issuer)}, "Introspection.Issuer"}
	case len(i.Audience) > 0 && !slices.ContainsFunc(t.Audience, ours):
		return &mismatch{"aud", someOf(a.aud), i.Audience, "Introspection.Audience"}
	case len(i.Clients) > 0 && !slices.Contains(i.Clients, t.ClientID):
		return &mismatch{"client_id", some([]byte(t.ClientID)), i.Clients, "Introspection.Clients"}
	case t.Subject == "":
		return refused("without %q, which names its subject (Introspection.SubjectClaim)", subject)
	}
	return nil
}

// checked calls check, unless it is nil.
func checked(check func(*Token) error, t Token) error {
	if check == nil {
		return nil
	}
	if err := check(&t); err != nil {
		return fmt.Errorf("%w: %w", refusal("check"), err)
	}
	return nil
}
