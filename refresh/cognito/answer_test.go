package cognito_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestPoolKnowsWhatEndsALogin(t *testing.T) {
	for _, c := range []struct {
		name, message string
		status        int
		denied        bool
	}{
		{"NotAuthorizedException", "Refresh Token has been revoked", 400, true},
		{"NotAuthorizedException", "Refresh Token has expired", 400, true},
		{"NotAuthorizedException", "Invalid Refresh Token.", 400, true},
		{"NotAuthorizedException", "User is disabled.", 400, true},
		{"NotAuthorizedException", "", 400, true},
		{"NotAuthorizedException", "SecretHash does not match for the client: 2od40abc", 400, false},
		{"NotAuthorizedException", "Unable to verify secret hash for client 2od40abc", 400, false},
		{"NotAuthorizedException", "Client 2od40abc is configured for secret but secret was not received", 400, false},
		{"NotAuthorizedException", "Refresh Token has been revoked", 500, false},
		{"NotAuthorizedException", "Refresh Token has been revoked", 429, false},
		{"RefreshTokenReuseException", "Refresh token reuse detected", 400, true},
		{"TokenRevokedException", "", 400, true},
		{"UserNotFoundException", "User does not exist.", 400, true},
		{"PasswordResetRequiredException", "Password reset required for the user", 400, true},
		{"UserNotConfirmedException", "User is not confirmed.", 400, true},
		{"ResourceNotFoundException", "Device does not exist.", 400, true},
		{"ResourceNotFoundException", "User pool eu-test-1_device does not exist.", 400, false},
		{"ResourceNotFoundException", "User pool client 2od40abc does not exist.", 400, false},
		{"InvalidParameterException", "", 400, false},
		{"ForbiddenException", "Request not allowed due to WAF block.", 403, false},
		{"TooManyRequestsException", "Rate exceeded", 400, false},
		{"LimitExceededException", "", 400, false},
		{"UserLambdaValidationException", "PreTokenGeneration failed", 400, false},
		{"InvalidLambdaResponseException", "", 400, false},
		{"UnexpectedLambdaException", "", 400, false},
		{"UnauthorizedException", "", 401, false},
		{"InternalErrorException", "", 500, false},
	} {
		for form, body := range map[string]string{
			"plain":     `{"__type":"` + c.name + `","message":"` + c.message + `"}`,
			"qualified": `{"__type":"com.amazonaws.cognito.idp#` + c.name + `:http://x/","Message":"` + c.message + `"}`,
		} {
			t.Run(fmt.Sprint(c.name, c.status, c.message, form), func(t *testing.T) {
				_, err := answering(c.status, body).Refresh(t.Context(), refresh.Tokens{Refresh: "refresh-token-r1"})
				if denied := errors.Is(err, refresh.ErrDenied); denied != c.denied {
					t.Errorf("denied: %t, want %t", denied, c.denied)
				}
				refused, ok := errors.AsType[*refresh.ProviderError](err)
				if !ok || refused.Status != c.status || refused.Code != c.name {
					t.Errorf("the error is %v, want %d %s", err, c.status, c.name)
				}
			})
		}
	}
}

func TestPoolTakesNoOtherAnswerForTokens(t *testing.T) {
	const tok = "refresh-token-that-nobody-may-see"
	for _, c := range []struct {
		name   string
		status int
		body   string
	}{
		{"nothing", 200, ``},
		{"null", 200, `null`},
		{"no tokens", 200, `{}`},
		{"a challenge", 200, `{"ChallengeName":"SMS_MFA","Session":"` + tok + `"}`},
		{"another type", 200, `{"AuthenticationResult":{"AccessToken":"new","TokenType":"DPoP"}}`},
		{"a token that is no string", 200, `{"AuthenticationResult":{"AccessToken":7}}`},
		{"a list", 200, `[{"AuthenticationResult":{"AccessToken":"new"}}]`},
		{"half of it", 200, `{"AuthenticationResult":{"AccessToken":"new"`},
		{"text behind it", 200, `{"AuthenticationResult":{"AccessToken":"new"}} and more`},
		{"an exception of their own", 400, `{"__type":"` + tok + `","message":"` + tok + `"}`},
		{"an exception that is no string", 400, `{"__type":{"a":"NotAuthorizedException"}}`},
		{"a page", 400, `<h1>` + tok + `</h1>`},
		{"nothing with 400", 400, ``},
		{"nothing with 403", 403, ``},
		{"tokens with 201", 201, `{"AuthenticationResult":{"AccessToken":"new"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := answering(c.status, c.body).Refresh(t.Context(), refresh.Tokens{Refresh: tok})
			if err == nil || errors.Is(err, refresh.ErrDenied) || got != (refresh.Tokens{}) {
				t.Errorf("Refresh = %v, %v, want a temporary error", got, err)
			}
			silence.Error(t, err, tok, secret)
		})
	}
}

func TestPoolExpiry(t *testing.T) {
	for _, c := range []struct {
		name, in string
		exp      int64 // of the access token, seconds from now; 0: no JWT
		want     time.Duration
	}{
		{"told", "300", 300, 300 * time.Second},
		{"not told", "null", 240, 240 * time.Second},
		{"nonsense", `-1`, 240, 240 * time.Second},
		{"a word", `"soon"`, 240, 240 * time.Second},
		{"nowhere", "null", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				access := "opaque"
				if c.exp > 0 {
					encode := base64.RawURLEncoding.EncodeToString
					access = encode([]byte(`{"alg":"RS256"}`)) + "." +
						encode(fmt.Appendf(nil, `{"exp":%d}`, time.Now().Unix()+c.exp)) + "."
				}
				body, err := json.Marshal(map[string]any{"AuthenticationResult": map[string]any{
					"AccessToken": access, "ExpiresIn": json.RawMessage(c.in),
				}})
				if err != nil {
					t.Fatal(err)
				}
				got, err := answering(200, string(body)).Refresh(t.Context(), refresh.Tokens{Refresh: "r1", ID: "i1"})
				if err != nil || !got.Expiry.Equal(after(c.want)) {
					t.Errorf("expiry %v, %v, want in %v", got.Expiry, err, c.want)
				}
				if got.Refresh != "r1" || got.ID != "i1" {
					t.Errorf("the old refresh token and ID token do not stay")
				}
			})
		})
	}
}

func TestPoolFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  refreshtest.Fault
		denied bool
		spent  bool // the old refresh token is used up
		status int  // 0: not a ProviderError
		code   string
		retry  time.Duration
		is     error
	}{
		{name: "an internal error", fault: refreshtest.ServerError, status: 500, code: "InternalErrorException"},
		{name: "a 503", fault: refreshtest.Unavailable, status: 503, retry: 7 * time.Second},
		{name: "too many requests", fault: refreshtest.Overloaded, status: 400, code: "TooManyRequestsException"},
		{name: "a reset", fault: refreshtest.Reset},
		{name: "no answer", fault: refreshtest.Hang, is: context.DeadlineExceeded},
		{name: "a body that never comes", fault: refreshtest.HangBody, is: context.DeadlineExceeded},
		{name: "garbage", fault: refreshtest.Garbage},
		{name: "a huge body", fault: refreshtest.Huge},
		{name: "a redirect", fault: refreshtest.Redirect, status: 307},
		{name: "a wrong client", fault: refreshtest.InvalidClient, status: 400, code: "NotAuthorizedException"},
		{name: "a lost answer", fault: refreshtest.LostAnswer, spent: true},
		{name: "a 500 that looks like success", fault: refreshtest.LyingError, spent: true, status: 500},
		{name: "dead", fault: refreshtest.Refuse, denied: true, status: 400, code: "NotAuthorizedException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool := &refreshtest.Cognito{Rotation: true, ClientSecret: secret}
				client := poolOf(pool)
				old := pool.Login("alice")
				pool.Fail(c.fault, 1)
				begin := time.Now()
				got, err := client.Refresh(t.Context(), old)
				took, want := time.Since(begin), time.Duration(0)
				if c.is != nil {
					want = 10 * time.Second
				}
				if took != want {
					t.Errorf("it took %v, want %v", took, want)
				}
				silence.Error(t, err, all(old)...)
				if err == nil || got != (refresh.Tokens{}) || errors.Is(err, refresh.ErrDenied) != c.denied ||
					c.is != nil && !errors.Is(err, c.is) || !strings.HasPrefix(err.Error(), "refresh: ") {
					t.Fatalf("Refresh = %v, %v", got, err)
				}
				refused, ok := errors.AsType[*refresh.ProviderError](err)
				if !ok {
					refused = new(refresh.ProviderError)
				}
				if refused.Status != c.status || refused.Code != c.code || refused.RetryAfter != c.retry {
					t.Errorf("the answer was %d %q %v, want %d %q %v", refused.Status, refused.Code, refused.RetryAfter, c.status, c.code, c.retry)
				}
				if s := pool.Stats(); s.Calls[getTokens] != 1 || len(s.Calls) != 1 {
					t.Errorf("calls %v, want one: nothing is ever sent twice", s.Calls)
				}
				if pool.Live(old) == c.spent {
					t.Errorf("the refresh token is live: %t, want %t", c.spent, !c.spent)
				}
			})
		})
	}
}

// A network error, an overload or a time-out while InitiateAuth is what works is
// not answered by asking elsewhere.
func TestPoolAsksElsewhereOnlyAfterAnAnswer(t *testing.T) {
	for _, fault := range []refreshtest.Fault{
		refreshtest.ServerError, refreshtest.Unavailable, refreshtest.Overloaded, refreshtest.Reset,
		refreshtest.Garbage, refreshtest.LostAnswer, refreshtest.LyingError,
	} {
		pool := &refreshtest.Cognito{OnlyInitiateAuth: true}
		client := poolOf(pool)
		if _, err := client.Refresh(t.Context(), pool.Login("alice")); err != nil {
			t.Fatal(err)
		}
		pool.Fail(fault, 1)
		before := pool.Stats().Calls
		if _, err := client.Refresh(t.Context(), pool.Login("alice")); err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("fault %d: %v, want a temporary error", fault, err)
		}
		if calls := less(pool.Stats().Calls, before); calls[initiateAuth] != 1 || len(calls) != 1 {
			t.Errorf("fault %d: calls %v, want one", fault, calls)
		}
	}
}

// How InitiateAuth refuses an app client whose refresh tokens rotate is not
// documented. All of these may be it.
func TestPoolAsksElsewhereAfterWhatMayMeanRotation(t *testing.T) {
	for _, refusal := range []string{
		`{"__type":"InvalidParameterException","message":"Initiate Auth method not supported"}`,
		`{"__type":"UnsupportedOperationException"}`,
		`{"__type":"NotAuthorizedException","message":"Auth flow not enabled for this client"}`,
		`{"__type":"NotAuthorizedException","message":"Invalid Refresh Token"}`,
	} {
		rotates := false
		client := &cognito.Pool{Region: "eu-test-1", ClientID: "client", Client: refreshtest.Client(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch known := strings.HasSuffix(r.Header.Get("X-Amz-Target"), getTokens); {
				case !known && rotates:
					w.WriteHeader(http.StatusBadRequest)
					w.Write([]byte(refusal))
				case known != rotates:
					w.WriteHeader(http.StatusBadRequest)
					w.Write([]byte(`{"__type":"UnknownOperationException"}`))
				default:
					w.Write([]byte(`{"AuthenticationResult":{"AccessToken":"new"}}`))
				}
			}),
		)}
		for _, rotates = range []bool{false, true, true} {
			got, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
			if err != nil || got.Access != "new" {
				t.Errorf("%s, rotation: %t: %v", refusal, rotates, err)
			}
		}
	}
}

// Whatever a pool answers, there are complete tokens or there is an error, only
// an exception ends a login, and no error shows anything of the answer.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"AuthenticationResult":{"AccessToken":"new","RefreshToken":"r2","ExpiresIn":300}}`)
	f.Add(200, `{"AuthenticationResult":{"AccessToken":"e30.e30.","ExpiresIn":1e999}}`)
	f.Add(200, `{"ChallengeName":"refresh-token-0123456789"}`)
	f.Add(400, `{"__type":"NotAuthorizedException","message":"refresh-token-0123456789"}`)
	f.Add(400, `{"__type":"UnknownOperationException"}`)
	f.Add(400, `{"__type":"a#RefreshTokenReuseException:"}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		got, err := answering(status, body).Refresh(t.Context(), refresh.Tokens{Refresh: "r1", Access: "a1"})
		switch {
		case err == nil && (got.Access == "" || got.Refresh == "" || status != 200):
			t.Errorf("incomplete tokens from a %d", status)
		case err != nil && got != (refresh.Tokens{}):
			t.Error("tokens and an error")
		case err == nil:
			return
		}
		refused, ok := errors.AsType[*refresh.ProviderError](err)
		if ok && errors.Is(err, refresh.ErrDenied) && (refused.Code == "" || status < 400 || status > 499) {
			t.Errorf("a login ended by %v", err)
		}
		known := strings.ReplaceAll(err.Error(), "refused", "")
		if ok && refused.Code != "" {
			known = strings.ReplaceAll(known, refused.Code, "")
		}
		for i := 0; i+12 <= len(body); i++ {
			if part := body[i : i+12]; strings.Contains(known, part) && !strings.Contains(ours, part) {
				t.Errorf("%q shows %q", known, part)
			}
		}
	})
}

// ours is every word that an error of a call may have, beside a known code.
const ours = "refresh: the provider refused with status , refresh: the provider's answer is longer than 1 MiB " +
	"refresh: no answer from the provider: what came has no tokens cognito: the provider's TokenType is not Bearer " +
	"refresh: the login is over: no token tells the user's name, which the secret hash is made of"
