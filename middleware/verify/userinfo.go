package verify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// A UserInfo verifies access tokens by asking whose they are, at the UserInfo
// endpoint (OpenID Connect Core 1.0 section 5.3) or an endpoint like GitHub's
// /user. A token is good if the endpoint answers with a subject. It is for
// providers without an introspection endpoint.
//
// The endpoint does not tell for whom a token was made. So a token that any
// other client of the provider got for a user is good here as well, and who
// runs that client can be that user here. AnyClient says that this is known.
// Where the provider has an introspection endpoint, or gives ID tokens to use
// in place of access tokens, those are the better choice.
//
// The endpoint does not tell the token's expiry, scopes and time of issue
// either: they are empty in the [Token]. [Token.Claims] reads what the endpoint
// says of the user.
//
// Answers are remembered as those of an [Introspection] are, and it is used in
// the same way.
type UserInfo struct {
	// Ask sends token to the endpoint, as a bearer token, and returns the body
	// and the Content-Type of an answer with status 200. The UserInfo of a
	// refresh.OAuth2 does that. The token is refused by an error that wraps
	// [ErrInvalid], or that has a method StatusCode() int which returns 401.
	// Any other error says that the provider could not be asked. It is called
	// from several goroutines at once. Required.
	Ask func(ctx context.Context, token string) (body []byte, contentType string, err error)

	// Issuer is the provider's URL, for [Token.Issuer]. Required.
	Issuer string

	// AnyClient accepts tokens that the provider made for any of its clients.
	// Required, unless Signed is set: signed answers name the client.
	AnyClient bool

	// SubjectClaim is the name of the claim for [Token.Subject]: a string, or a
	// whole number, such as "id" for GitHub. It must be one that users cannot
	// change. A token without it is refused. Default: "sub".
	SubjectClaim string

	// GroupsClaim is the name of the claim for [Token.Groups], as in [Issuer].
	// Default: none.
	GroupsClaim string

	// Signed verifies answers that are signed JWTs (OpenID Connect Core 1.0
	// section 5.3.2): its Issuer is the provider, and its Audience the client
	// for which the tokens are made. If it is set, answers without a signature
	// are not believed. Default nil: no answer is signed.
	Signed *JWT

	// Check refuses a token by an error, as in [Introspection]. Default: nil.
	Check func(*Token) error

	// Remember is how long an answer is used: how long a token is still
	// accepted after its expiry, or after the provider has revoked it. Default:
	// 1 min; negative: the provider is asked for each request.
	Remember time.Duration

	// StaleFor, Timeout, CacheTokens and MaxCalls are as in [Introspection].
	StaleFor, Timeout     time.Duration
	CacheTokens, MaxCalls int

	// Observe hears of each call of Ask: [event.TokenAsked]. Default: the hook
	// of the middleware.Auth whose Verifier this is, or none.
	Observe event.Hook

	once     sync.Once
	invalid  error
	answers  answers
	fallback event.Fallback
}

// Validate returns an error that names the field which is missing or wrong.
func (u *UserInfo) Validate() error {
	u.once.Do(func() { u.invalid = u.setUp() })
	return u.invalid
}

func (u *UserInfo) setUp() error {
	switch {
	case u.Ask == nil:
		return errors.New("verify: UserInfo.Ask is nil")
	case u.Issuer == "":
		return errors.New("verify: UserInfo.Issuer is empty")
	case !u.AnyClient && u.Signed == nil:
		return errors.New("verify: UserInfo.AnyClient is not set: tokens made for other clients of the provider " +
			"cannot be told apart. Set it if they may be used here, or use Introspection or ID tokens")
	case u.AnyClient && u.Signed != nil:
		return errors.New("verify: UserInfo.AnyClient and Signed are both set: give Signed an issuer with SkipAudienceCheck instead")
	}
	u.answers = answers{
		what: "userinfo at " + printable(u.Issuer), issuer: printable(u.Issuer),
		ask: u.ask, read: u.read,
		remember: cmp.Or(u.Remember, defaultRemember), stale: u.StaleFor,
		timeout: orDefault(u.Timeout, defaultTimeout),
		observe: u.Observe, fallback: &u.fallback,
	}
	u.answers.open(u.CacheTokens, u.MaxCalls)
	return nil
}

// Verify verifies a token, as [Introspection.Verify] does.
func (u *UserInfo) Verify(ctx context.Context, raw string) (*Token, error) {
	return verified(ctx, raw, u.VerifyTo)
}

// VerifyTo is Verify into a Token of the caller, as [Introspection.VerifyTo]
// is.
func (u *UserInfo) VerifyTo(ctx context.Context, raw string, t *Token) error {
	if err := u.Validate(); err != nil {
		*t = Token{}
		return err
	}
	return u.answers.verifyTo(ctx, raw, t)
}

// VerifyExpired is Verify for a token that the provider may refuse by now, as
// [Introspection.VerifyExpired] is.
func (u *UserInfo) VerifyExpired(ctx context.Context, raw string) (*Token, error) {
	if err := u.Validate(); err != nil {
		return nil, err
	}
	return u.answers.verifyExpired(ctx, raw)
}

// Expect says that the provider has just given raw to this service, as
// [Introspection.Expect] does.
func (u *UserInfo) Expect(raw string) {
	if u.Validate() == nil {
		u.answers.expect(raw)
	}
}

// ObserveDefault implements [event.Observable]: h hears what the UserInfo tells
// where Observe is nil.
func (u *UserInfo) ObserveDefault(h event.Hook) { u.fallback.Set(h) }

// Close cancels the calls that are under way and waits for their end.
// Afterwards no token can be asked about. It does not close Signed. It always
// returns nil.
func (u *UserInfo) Close() error {
	if u.Validate() == nil {
		u.answers.close()
	}
	return nil
}

// ask calls Ask. A 403 does not refuse the token: GitHub sends it, or a 429, for
// a user whose token has been used too often.
func (u *UserInfo) ask(ctx context.Context, token string) ([]byte, string, error) {
	body, contentType, err := u.Ask(ctx, token)
	var status interface{ StatusCode() int }
	code := 0
	if errors.As(err, &status) {
		code = status.StatusCode()
	}
	switch {
	case errors.Is(err, ErrInvalid), code == http.StatusUnauthorized:
		err = errInactive // its text may be anything
	case 400 <= code && code < 500 && code != http.StatusRequestTimeout:
		err = answeredError{err}
	}
	return body, contentType, err
}

// read returns the token that an answer says to be good.
func (u *UserInfo) read(ctx context.Context, body []byte, contentType string, _ time.Time) (Token, error) {
	body, err := plainAnswer(ctx, u.Signed, "UserInfo.Signed", typeJWT, body, contentType)
	if err != nil {
		return Token{}, err
	}
	subject := cmp.Or(u.SubjectClaim, "sub")
	var a answer
	switch {
	case !a.parse(body, subject, u.GroupsClaim):
		return Token{}, errNotJSON
	case a.subject == "":
		return Token{}, refused("without %q, which names its subject (UserInfo.SubjectClaim)", subject)
	}
	// What else has the name of a claim here is about the user, or about the
	// answer, and not about the token.
	t := Token{
		Issuer: u.Issuer, Subject: a.subject,
		Groups: slices.Clip(stringsOf(a.groups, false)),
		answer: bytes.Clone(body),
	}
	return t, checked(u.Check, t)
}
