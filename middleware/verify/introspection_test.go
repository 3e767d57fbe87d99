package verify

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/internal/describe"
)

const (
	opaqueToken = "ory_at_zYx9wVu8tSr7qPo6nMl5kJi4hGf3eDc2bA1.0aB1cD2eF3gH4iJ5kL6mN7oP8qR"
	asJSON      = "application/json; charset=utf-8"
)

// says returns an Ask that has one answer.
func says(contentType, body string) func(context.Context, string) ([]byte, string, error) {
	return func(context.Context, string) ([]byte, string, error) { return []byte(body), contentType, nil }
}

// activeAnswer is shaped like that of Ory Hydra, with changes; nil removes one.
func activeAnswer(changes map[string]any) string {
	now := time.Now()
	b, err := json.Marshal(with(map[string]any{
		"active": true, "scope": "openid offline read", "client_id": "shop", "sub": "user-1",
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(),
		"aud": []string{testAudience}, "iss": testURL, "token_type": "Bearer", "token_use": "access_token",
	}, changes))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func newIntrospection(t testing.TB, changes ...func(*Introspection)) *Introspection {
	t.Helper()
	i := &Introspection{Ask: says(asJSON, activeAnswer(nil)), Issuer: testURL, Audience: []string{testAudience}}
	for _, change := range changes {
		change(i)
	}
	if err := i.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

type tokenVerifier interface {
	Verify(context.Context, string) (*Token, error)
}

// outcome names what a Verifier decides about the token raw.
func outcome(t testing.TB, v tokenVerifier, raw string) (string, *Token, error) {
	t.Helper()
	token, err := v.Verify(context.Background(), raw)
	if err != nil && describe.Repeats(err.Error(), raw) {
		t.Errorf("%v: it has a piece of the token", err)
	}
	switch {
	case err == nil && token != nil && token.Raw == raw:
		return "accepted", token, nil
	case errors.Is(err, ErrExpired) && !errors.Is(err, ErrInvalid) && token != nil && token.Raw == raw:
		return "expired", token, err
	case errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExpired) && token == nil:
		return "refused", nil, err
	case err != nil && token == nil:
		return "unknown", nil, err
	}
	return "a contradiction", token, err
}

func TestAnIntrospectionAcceptsActiveTokensForThisService(t *testing.T) {
	hour := time.Now().Add(time.Hour).Unix()
	ofShop := func(i *Introspection) { i.Audience, i.Clients = nil, []string{"shop"} }
	for _, test := range []struct {
		name   string
		body   string
		change func(*Introspection)
		want   string
		says   string // in the error
	}{
		{name: "an answer of Hydra's shape", body: activeAnswer(nil), want: "accepted"},
		{name: "an answer with aud as a string", body: activeAnswer(map[string]any{"aud": testAudience}), want: "accepted"},
		{name: "an answer with no more than it must have", body: `{"active":true,"sub":"user-1","aud":"` + testAudience + `"}`, want: "accepted"},
		{name: "null counts as absent", body: activeAnswer(map[string]any{"nbf": json.RawMessage("null"), "scope": json.RawMessage("null"), "iss": json.RawMessage("null")}), want: "accepted"},
		{name: "a zero nbf counts as absent", body: activeAnswer(map[string]any{"nbf": 0, "iat": 0}), want: "accepted"},
		{name: "an answer behind a byte order mark", body: "\ufeff" + activeAnswer(nil), want: "accepted"},
		{name: "scopes in an array", body: activeAnswer(map[string]any{"scope": []string{"read"}}), want: "accepted"},
		{name: "a token for this service's client", body: activeAnswer(map[string]any{"aud": nil}), change: ofShop, want: "accepted"},
		{name: "the client in azp", body: activeAnswer(map[string]any{"aud": nil, "client_id": nil, "azp": "shop"}), change: ofShop, want: "accepted"},
		{name: "any audience, if that is wanted", body: activeAnswer(map[string]any{"aud": "other"}), change: func(i *Introspection) { i.Audience, i.SkipAudienceCheck = nil, true }, want: "accepted"},
		{name: "a subject in another claim", body: activeAnswer(map[string]any{"sub": nil, "username": "ann"}), change: func(i *Introspection) { i.SubjectClaim = "username" }, want: "accepted"},
		{name: "a subject that is a number", body: activeAnswer(map[string]any{"sub": nil, "uid": 583231}), change: func(i *Introspection) { i.SubjectClaim = "uid" }, want: "accepted"},
		{name: "an exp within the leeway", body: activeAnswer(map[string]any{"exp": time.Now().Unix() - 10}), want: "accepted"},

		{name: "not active", body: `{"active":false}`, want: "refused", says: "not active"},
		{name: "not active, whatever else it says", body: activeAnswer(map[string]any{"active": false}), want: "refused"},
		{name: "for another audience", body: activeAnswer(map[string]any{"aud": "other"}), want: "refused", says: "Introspection.Audience"},
		{name: "for no audience", body: activeAnswer(map[string]any{"aud": nil}), want: "refused", says: "Introspection.Audience"},
		{name: "for an empty audience", body: activeAnswer(map[string]any{"aud": []string{}}), want: "refused"},
		{name: "an audience that is no string", body: activeAnswer(map[string]any{"aud": []any{testAudience, 7}}), want: "refused"},
		{name: "of another client", body: activeAnswer(map[string]any{"client_id": "other"}), change: ofShop, want: "refused", says: "Introspection.Clients"},
		{name: "of no client", body: activeAnswer(map[string]any{"client_id": nil}), change: ofShop, want: "refused"},
		{name: "of this client, for another audience", body: activeAnswer(map[string]any{"aud": "other"}), change: func(i *Introspection) { i.Clients = []string{"shop"} }, want: "refused"},
		{name: "of another issuer", body: activeAnswer(map[string]any{"iss": "https://evil.example.com"}), want: "refused", says: "Introspection.Issuer"},
		{name: "an issuer that is no string", body: activeAnswer(map[string]any{"iss": 7}), want: "refused"},
		{name: "without a subject", body: activeAnswer(map[string]any{"sub": nil}), want: "refused", says: "SubjectClaim"},
		{name: "with an empty subject", body: activeAnswer(map[string]any{"sub": ""}), want: "refused"},
		{name: "with a subject that is no name", body: activeAnswer(map[string]any{"sub": 1.5}), want: "refused"},
		{name: "a refresh token of Hydra", body: activeAnswer(map[string]any{"token_use": "refresh_token"}), want: "refused", says: "refresh token"},
		{name: "a refresh token of Keycloak", body: activeAnswer(map[string]any{"typ": "Refresh", "token_use": nil}), want: "refused"},
		{name: "an offline token of Keycloak", body: activeAnswer(map[string]any{"typ": "Offline"}), want: "refused"},
		{name: "a refresh token by its token_type", body: activeAnswer(map[string]any{"token_type": "refresh_token"}), want: "refused"},
		{name: "an ID token", body: activeAnswer(map[string]any{"typ": "ID"}), want: "refused", says: "ID token"},
		{name: "a token that is bound to a key", body: activeAnswer(map[string]any{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), want: "refused", says: "cnf"},
		{name: "a DPoP token", body: activeAnswer(map[string]any{"token_type": "DPoP"}), want: "refused"},
		{name: "not yet valid", body: activeAnswer(map[string]any{"nbf": hour}), want: "refused"},
		{name: "issued in the future", body: activeAnswer(map[string]any{"iat": hour}), want: "refused"},
		{name: "an exp that is no time", body: activeAnswer(map[string]any{"exp": "never"}), want: "refused", says: "exp"},
		{name: "an exp in milliseconds", body: activeAnswer(map[string]any{"exp": hour * 1000}), want: "refused"},
		{name: "an exp of zero", body: activeAnswer(map[string]any{"exp": 0}), want: "refused"},
		{name: "Check refuses it", body: activeAnswer(nil), change: func(i *Introspection) {
			i.Check = func(t *Token) error {
				if !t.HasScope("admin") {
					return errors.New("no admin")
				}
				return nil
			}
		}, want: "refused", says: "no admin"},

		{name: "an exp that has passed by our clock", body: activeAnswer(map[string]any{"exp": time.Now().Unix() - 3600}), want: "expired"},

		{name: "active as a string", body: activeAnswer(map[string]any{"active": "true"}), want: "unknown", says: "introspection endpoint"},
		{name: "active as a number", body: activeAnswer(map[string]any{"active": 1}), want: "unknown"},
		{name: "active is null", body: `{"active":null,"sub":"user-1","aud":"` + testAudience + `"}`, want: "unknown"},
		{name: "active in another case", body: activeAnswer(map[string]any{"active": nil, "Active": true}), want: "unknown"},
		{name: "active twice", body: `{"active":true,"sub":"user-1","aud":"` + testAudience + `","active":false}`, want: "unknown"},
		{name: "active within another object", body: `{"token":` + activeAnswer(nil) + `}`, want: "unknown"},
		{name: "an array", body: `[` + activeAnswer(nil) + `]`, want: "unknown"},
		{name: "nothing", body: ``, want: "unknown"},
		{name: "a page of a proxy", body: `<html>{"active":true}</html>`, want: "unknown"},
		{name: "text behind the answer", body: activeAnswer(nil) + "x", want: "unknown"},
		{name: "an answer of 100 KiB", body: activeAnswer(map[string]any{"roles": strings.Repeat("x", 100<<10)}), want: "unknown", says: "64 KiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := newIntrospection(t, func(i *Introspection) { i.Ask = says(asJSON, test.body) })
			if test.change != nil {
				i = newIntrospection(t, func(i *Introspection) { i.Ask = says(asJSON, test.body) }, test.change)
			}
			for range 2 { // asked, and remembered
				got, token, err := outcome(t, i, opaqueToken)
				if got != test.want {
					t.Fatalf("%s (%v), want %s", got, err, test.want)
				}
				if err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v: it does not say %q", err, test.says)
				}
				if token != nil && (token.Subject == "" || token.Issuer != testURL) {
					t.Errorf("of %q at %q", token.Subject, token.Issuer)
				}
			}
		})
	}
}

func TestAnIntrospectedTokenHasWhatTheAnswerSays(t *testing.T) {
	at := time.Now().Unix()
	i := newIntrospection(t, func(i *Introspection) {
		i.GroupsClaim = "groups"
		i.Ask = says(asJSON, activeAnswer(map[string]any{
			"jti": "id-1", "sid": "session-1", "username": "ann", "groups": []string{"admins"},
			"iat": at, "exp": at + 600, "aud": []string{"other", testAudience},
		}))
	})
	for range 10 { // also from where tokens in use are found
		token, err := i.Verify(t.Context(), opaqueToken)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(token.Subject, token.ID, token.Session, token.ClientID, token.Audience, token.Scopes, token.Groups,
			token.IssuedAt.Unix()-at, token.Expiry.Unix()-at, token.Raw == opaqueToken)
		want := fmt.Sprint("user-1", "id-1", "session-1", "shop", []string{"other", testAudience},
			[]string{"openid", "offline", "read"}, []string{"admins"}, 0, 600, true)
		if got != want {
			t.Errorf("the token has %s, want %s", got, want)
		}
		var claims struct {
			Username string `json:"username"`
		}
		if err := token.Claims(&claims); err != nil || claims.Username != "ann" {
			t.Errorf("the claims have the username %q, %v", claims.Username, err)
		}
	}
}

func TestATokenOfAJWTIsItsOwnAnswerAgain(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	i := newIntrospection(t)
	raw := s.token(map[string]any{"sub": "user-2"})
	var token Token
	for range 8 { // in a token of the caller, in turns
		if err := i.VerifyTo(t.Context(), opaqueToken, &token); err != nil {
			t.Fatal(err)
		}
		if err := j.VerifyTo(t.Context(), raw, &token); err != nil {
			t.Fatal(err)
		}
		var claims struct{ Sub string }
		if err := token.Claims(&claims); err != nil || claims.Sub != "user-2" {
			t.Fatalf("the claims are those of %q, %v", claims.Sub, err)
		}
	}
}

func TestAnIntrospectionNamesWhatIsWrongWithItsFields(t *testing.T) {
	ask := says(asJSON, `{}`)
	for _, test := range []struct {
		i    *Introspection
		want string
	}{
		{&Introspection{Issuer: testURL, Audience: []string{"a"}}, "Introspection.Ask is nil"},
		{&Introspection{Ask: ask, Audience: []string{"a"}}, "Introspection.Issuer is empty"},
		{&Introspection{Ask: ask, Issuer: testURL}, "SkipAudienceCheck is not set"},
		{&Introspection{Ask: ask, Issuer: testURL, Audience: []string{""}}, "empty string"},
		{&Introspection{Ask: ask, Issuer: testURL, Clients: []string{""}}, "empty string"},
		{&Introspection{Ask: ask, Issuer: testURL, Clients: []string{"a"}, SkipAudienceCheck: true}, "as well"},
	} {
		err := test.i.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "verify: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
		if got, _, _ := outcome(t, test.i, opaqueToken); got != "unknown" {
			t.Errorf("a token is %s", got)
		}
		if err := test.i.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestASignedAnswerIsBelievedForItsSignature(t *testing.T) {
	s, p := newSigner("ES256", "key-1"), new(provider)
	p.serve(jwks(s))
	signed := newJWT(t, p, func(i *Issuer) { i.Audience = []string{"shop"} })
	now := time.Now().Unix()
	answer := func(typ string, changes map[string]any) string {
		claims := with(map[string]any{
			"iss": testURL, "aud": "shop", "iat": now, "token_introspection": json.RawMessage(activeAnswer(nil)),
		}, changes)
		payload, _ := json.Marshal(claims)
		return s.sign(fmt.Sprintf(`{"alg":"ES256","kid":"key-1","typ":%q}`, typ), string(payload))
	}
	const typ = "token-introspection+jwt"
	good := answer(typ, nil)
	forged := good[:len(good)-4] + "AAAA"
	for _, test := range []struct {
		name, contentType, body, want string
		unsigned                      bool
	}{
		{name: "good", contentType: "application/" + typ, body: good, want: "accepted"},
		{name: "not active", contentType: "application/" + typ, body: answer(typ, map[string]any{"token_introspection": map[string]any{"active": false}}), want: "refused"},
		{name: "a forged signature", contentType: "application/" + typ, body: forged, want: "unknown"},
		{name: "for another service", contentType: "application/" + typ, body: answer(typ, map[string]any{"aud": "other"}), want: "unknown"},
		{name: "of another issuer", contentType: "application/" + typ, body: answer(typ, map[string]any{"iss": "https://evil.example.com"}), want: "unknown"},
		{name: "an access token", contentType: "application/" + typ, body: answer("at+jwt", map[string]any{"active": true, "sub": "user-1"}), want: "unknown"},
		{name: "without the claim", contentType: "application/" + typ, body: answer(typ, map[string]any{"token_introspection": nil, "active": true, "sub": "user-1"}), want: "unknown"},
		{name: "of the future", contentType: "application/" + typ, body: answer(typ, map[string]any{"iat": now + 3600}), want: "unknown"},
		{name: "expired", contentType: "application/" + typ, body: answer(typ, map[string]any{"exp": now - 3600}), want: "unknown"},
		{name: "without a signature", contentType: asJSON, body: activeAnswer(nil), want: "unknown"},
		{name: "signed, and not said to be", contentType: asJSON, body: good, want: "unknown"},
		{name: "encrypted", contentType: "application/" + typ, body: good + ".AAAA.AAAA", want: "unknown"},
		{name: "signed, where that is not expected", contentType: "application/" + typ, body: good, want: "unknown", unsigned: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := newIntrospection(t, func(i *Introspection) {
				i.Ask = says(test.contentType, test.body)
				if !test.unsigned {
					i.Signed = signed
				}
			})
			got, token, err := outcome(t, i, opaqueToken)
			if got != test.want {
				t.Fatalf("%s (%v), want %s", got, err, test.want)
			}
			var claims map[string]any
			if token != nil && (token.Claims(&claims) != nil || claims["active"] != true) {
				t.Errorf("the claims are %v", claims)
			}
			if test.unsigned && !strings.Contains(err.Error(), "set Introspection.Signed") {
				t.Error(err)
			}
		})
	}
}

// The endpoint's 401 is about this client, and no word on the token.
func TestAnEndpointThatRefusesTheClientRefusesNoToken(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&httpError{status: 401}, "unknown"},
		{&httpError{status: 403}, "unknown"},
		{fmt.Errorf("test: %w", ErrInvalid), "refused"},
	} {
		i := newIntrospection(t, func(i *Introspection) {
			i.Ask = func(context.Context, string) ([]byte, string, error) {
				return []byte(activeAnswer(nil)), asJSON, test.err
			}
		})
		if got, _, err := outcome(t, i, opaqueToken); got != test.want {
			t.Errorf("%v: %s (%v), want %s", test.err, got, err, test.want)
		}
	}
}

func TestOnlyWhatCanBeATokenIsAskedAbout(t *testing.T) {
	var asked []string
	i := newIntrospection(t, func(i *Introspection) {
		i.Ask = func(_ context.Context, token string) ([]byte, string, error) {
			asked = append(asked, token)
			return []byte(`{"active":false}`), asJSON, nil
		}
	})
	for _, raw := range []string{"", "a b", "a\nb", "a\x00b", "ünïcode", strings.Repeat("x", maxAskedToken+1)} {
		if got, _, err := outcome(t, i, raw); got != "refused" {
			t.Errorf("a token of %d bytes is %s (%v)", len(raw), got, err)
		}
	}
	if len(asked) > 0 {
		t.Errorf("the provider was asked %d times", len(asked))
	}
	if got, _, _ := outcome(t, i, "EAAB|app~token.1"); got != "refused" || !slices.Equal(asked, []string{"EAAB|app~token.1"}) {
		t.Errorf("%s, after %q", got, asked)
	}
}

// What came is bounded in an error, as it goes into logs.
func TestAnErrorRepeatsABoundedPieceOfTheAnswer(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	for _, changes := range []map[string]any{{"iss": long}, {"aud": []string{long, long, "a", "b", "c"}}, {"client_id": long}} {
		i := newIntrospection(t, func(i *Introspection) {
			i.Clients, i.Ask = []string{"shop"}, says(asJSON, activeAnswer(changes))
		})
		if got, _, err := outcome(t, i, opaqueToken); got != "refused" || len(err.Error()) > 600 {
			t.Errorf("%s, with an error of %d bytes", got, len(err.Error()))
		}
	}
}

// Nor does it hold a piece of the token in another form.
func TestAnErrorOfAskHoldsNoFormOfTheToken(t *testing.T) {
	const raw = "a/b+c/d+e/f+g/h+i/j+k/l+m/n+o/p+q/r=="
	for name, shown := range map[string]string{
		"as it is":      raw,
		"a piece":       raw[5:20],
		"in a URL":      url.QueryEscape(raw),
		"in a path":     url.PathEscape(raw),
		"in capitals":   strings.ToUpper(raw),
		"in base64":     base64.StdEncoding.EncodeToString([]byte("client:" + raw)),
		"in base64url":  base64.RawURLEncoding.EncodeToString([]byte(raw)),
		"in hex":        hex.EncodeToString([]byte(raw)),
		"in two lines":  raw[:10] + "\n" + raw[10:20] + "\n" + raw[20:],
		"in small bits": strings.Join(strings.Split(raw, "+"), " + "),
	} {
		i := newIntrospection(t, func(i *Introspection) {
			i.Ask = func(context.Context, string) ([]byte, string, error) {
				return nil, "", errors.New("test: failed for " + shown)
			}
		})
		if got, _, err := outcome(t, i, raw); got != "unknown" || strings.Contains(err.Error(), shown) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
