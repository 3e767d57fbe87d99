package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// gitHubUser is shaped like what GitHub's /user answers.
const gitHubUser = `{"login":"ann-example","id":90210417,"node_id":"MDQ6VXNlcjkwMjEwNDE3","type":"User","site_admin":false,
"name":"Ann Example","company":null,"email":null,"created_at":"2021-09-06T10:00:00Z","followers":3}`

func newUserInfo(t testing.TB, changes ...func(*UserInfo)) *UserInfo {
	t.Helper()
	u := &UserInfo{Ask: says(asJSON, `{"sub":"user-1","name":"Ann"}`), Issuer: testURL, AnyClient: true}
	for _, change := range changes {
		change(u)
	}
	if err := u.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

// An httpError is an error with a status, as refresh.ProviderError is.
type httpError struct {
	status int
	err    error
}

func (e *httpError) Error() string   { return fmt.Sprintf("test: status %d", e.status) }
func (e *httpError) StatusCode() int { return e.status }
func (e *httpError) Unwrap() error   { return e.err }

func TestAUserInfoAcceptsTokensOfWhichTheEndpointNamesASubject(t *testing.T) {
	fails := func(err error) func(context.Context, string) ([]byte, string, error) {
		return func(context.Context, string) ([]byte, string, error) { return []byte(`{"sub":"user-1"}`), asJSON, err }
	}
	byID := func(u *UserInfo) { u.SubjectClaim = "id" }
	for _, test := range []struct {
		name          string
		ask           func(context.Context, string) ([]byte, string, error)
		change        func(*UserInfo)
		want, subject string
		says          string
	}{
		{name: "a subject", ask: says(asJSON, `{"sub":"user-1"}`), want: "accepted", subject: "user-1"},
		{name: "a number of GitHub", ask: says(asJSON, gitHubUser), change: byID, want: "accepted", subject: "90210417"},
		{name: "claims that mean something else in a token", ask: says(asJSON, `{"sub":"user-1","exp":"later","aud":7,"typ":"refresh","scope":{}}`), want: "accepted", subject: "user-1"},

		{name: "no subject", ask: says(asJSON, gitHubUser), want: "refused", says: "SubjectClaim"},
		{name: "an error of Slack with 200", ask: says(asJSON, `{"ok":false,"error":"invalid_auth"}`), want: "refused"},
		{name: "a subject that is null", ask: says(asJSON, `{"sub":null}`), want: "refused"},
		{name: "a subject that is true", ask: says(asJSON, `{"sub":true}`), want: "refused"},
		{name: "a subject that is an object", ask: says(asJSON, `{"sub":{"id":"user-1"}}`), want: "refused"},
		{name: "a number with a fraction", ask: says(asJSON, `{"id":1.0}`), change: byID, want: "refused"},
		{name: "a number of many digits", ask: says(asJSON, `{"id":`+strings.Repeat("9", 40)+`}`), change: byID, want: "refused"},
		{name: "401", ask: fails(&httpError{status: 401}), want: "refused", says: "not active"},
		{name: "401, further down", ask: fails(fmt.Errorf("test: %w", &httpError{status: 401})), want: "refused"},
		{name: "an Ask that refuses", ask: fails(fmt.Errorf("%w: test", ErrInvalid)), want: "refused"},

		{name: "a subject twice", ask: says(asJSON, `{"sub":"user-1","sub":"user-2"}`), want: "unknown"},
		{name: "a page", ask: says("text/html", `<html>`), want: "unknown"},
		{name: "403, for GitHub's rate limit", ask: fails(&httpError{status: 403}), want: "unknown", says: "403"},
		{name: "429", ask: fails(&httpError{status: 429}), want: "unknown"},
		{name: "500", ask: fails(&httpError{status: 500}), want: "unknown"},
		{name: "no connection", ask: fails(errors.New("test: down")), want: "unknown", says: "down"},
		{name: "an error with the token in it", ask: fails(errors.New("GET /user?access_token=" + opaqueToken)), want: "unknown", says: "a piece of the token"},
		{name: "a panic", ask: func(context.Context, string) ([]byte, string, error) { panic(opaqueToken) }, want: "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := newUserInfo(t, func(u *UserInfo) {
				u.Ask = test.ask
				if test.change != nil {
					test.change(u)
				}
			})
			got, token, err := outcome(t, u, opaqueToken)
			if got != test.want {
				t.Fatalf("%s (%v), want %s", got, err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v: it does not say %q", err, test.says)
			}
			if token != nil && (token.Subject != test.subject || token.Issuer != testURL || !token.Expiry.IsZero() || token.Audience != nil) {
				t.Errorf("the token is of %q at %q, until %v, for %q", token.Subject, token.Issuer, token.Expiry, token.Audience)
			}
		})
	}
}

// The middleware ends a login for some errors, which an Ask must not bring in.
func TestAnErrorOfAskShowsItsTypeAndNotItsMeaning(t *testing.T) {
	denied := errors.New("test: the login is over")
	u := newUserInfo(t, func(u *UserInfo) {
		u.Ask = func(context.Context, string) ([]byte, string, error) { return nil, "", &httpError{503, denied} }
	})
	_, err := u.Verify(t.Context(), opaqueToken)
	var status *httpError
	if errors.Is(err, denied) || !errors.As(err, &status) || status.status != 503 {
		t.Errorf("%v: denied %v, status %v", err, errors.Is(err, denied), status)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Verify(ctx, opaqueToken); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, of a client that has gone", err)
	}
}

func TestAUserInfoNamesWhatIsWrongWithItsFields(t *testing.T) {
	ask := says(asJSON, `{}`)
	for _, test := range []struct {
		u    *UserInfo
		want string
	}{
		{&UserInfo{Issuer: testURL, AnyClient: true}, "UserInfo.Ask is nil"},
		{&UserInfo{Ask: ask, AnyClient: true}, "UserInfo.Issuer is empty"},
		{&UserInfo{Ask: ask, Issuer: testURL}, "UserInfo.AnyClient is not set"},
		{&UserInfo{Ask: ask, Issuer: testURL, AnyClient: true, Signed: new(JWT)}, "both set"},
	} {
		err := test.u.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "verify: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
		if got, _, _ := outcome(t, test.u, opaqueToken); got != "unknown" {
			t.Errorf("a token is %s", got)
		}
	}
}

func TestASignedUserInfoNamesTheClient(t *testing.T) {
	s, p := newSigner("ES256", "key-1"), new(provider)
	p.serve(jwks(s))
	signed := newJWT(t, p, func(i *Issuer) { i.Audience = []string{"shop"} })
	answer := func(typ string, changes map[string]any) string {
		payload, _ := json.Marshal(with(map[string]any{"iss": testURL, "aud": "shop", "sub": "user-1", "name": "Ann"}, changes))
		return s.sign(fmt.Sprintf(`{"alg":"ES256","kid":"key-1","typ":%q}`, typ), string(payload))
	}
	for _, test := range []struct{ name, contentType, body, want string }{
		{"of this client", "application/jwt", answer("JWT", nil), "accepted"},
		{"of another client", "application/jwt", answer("JWT", map[string]any{"aud": "other"}), "unknown"},
		{"of no client", "application/jwt", answer("JWT", map[string]any{"aud": nil}), "unknown"},
		{"an access token", "application/jwt", answer("at+jwt", nil), "unknown"},
		{"without a subject", "application/jwt", answer("JWT", map[string]any{"sub": nil}), "refused"},
		{"not signed", asJSON, `{"sub":"user-1"}`, "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := newUserInfo(t, func(u *UserInfo) {
				u.Ask, u.AnyClient, u.Signed = says(test.contentType, test.body), false, signed
			})
			if got, _, err := outcome(t, u, opaqueToken); got != test.want {
				t.Errorf("%s (%v), want %s", got, err, test.want)
			}
		})
	}
}

// What a provider answers about the token of one user must not keep it from
// being asked about those of others.
func TestAnAnswerAboutOneUserIsNoOutage(t *testing.T) {
	for name, of := range map[string]func() ([]byte, string, error){
		"an answer that is too large":   func() ([]byte, string, error) { return make([]byte, maxAnswer+1), asJSON, nil },
		"an answer that is no JSON":     func() ([]byte, string, error) { return []byte(`{"sub":"a","sub":"b"}`), asJSON, nil },
		"a Check that panics":           func() ([]byte, string, error) { return []byte(`{"sub":"panic"}`), asJSON, nil },
		"a user who asks too often":     func() ([]byte, string, error) { return nil, "", &httpError{status: 403} },
		"a user's own limit":            func() ([]byte, string, error) { return nil, "", &httpError{status: 429} },
		"a request that is refused":     func() ([]byte, string, error) { return nil, "", &httpError{status: 400} },
		"an answer that is signed":      func() ([]byte, string, error) { return []byte("a.b.c"), "application/jwt", nil },
		"a resource that is not there":  func() ([]byte, string, error) { return nil, "", &httpError{status: 404} },
		"an answer that cannot be read": func() ([]byte, string, error) { return []byte("\xff"), "", nil },
	} {
		t.Run(name, func(t *testing.T) {
			u := newUserInfo(t, func(u *UserInfo) {
				u.Ask = func(_ context.Context, token string) ([]byte, string, error) {
					if token == "of-another-user" {
						return []byte(`{"sub":"ann"}`), asJSON, nil
					}
					return of()
				}
				u.Check = func(t *Token) error {
					if t.Subject == "panic" {
						panic("a mistake")
					}
					return nil
				}
			})
			for n := range 3 * maxFailures {
				raw := fmt.Sprintf("token-of-one-user-%d", n)
				u.Expect(raw)
				if got, _, err := outcome(t, u, raw); got != "unknown" {
					t.Errorf("%s: %v", got, err)
				}
			}
			u.Expect("of-another-user")
			if got, _, err := outcome(t, u, "of-another-user"); got != "accepted" {
				t.Errorf("another user is %s: %v", got, err)
			}
		})
	}
}
