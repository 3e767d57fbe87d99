package verify

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzIntrospectionAnswer: whatever a provider answers, a token is accepted only
// if encoding/json too reads an answer that says so: active, for this audience,
// of this issuer, of a subject, not expired, and not a refresh token. Nothing
// panics, and no error tells the token.
func FuzzIntrospectionAnswer(f *testing.F) {
	f.Add(asJSON, activeAnswer(nil))
	f.Add(asJSON, activeAnswer(map[string]any{"active": "true"}))
	f.Add(asJSON, activeAnswer(map[string]any{"exp": 1, "nbf": 0, "token_use": "refresh_token"}))
	f.Add(asJSON, `{"active":true,"Active":false,"sub":7,"aud":["`+testAudience+`"],"iss":null}`)
	f.Add("application/jwt", "e30.e30.")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		i := newIntrospection(t, func(i *Introspection) { i.Ask = says(contentType, body) })
		now := time.Now()
		got, token, _ := outcome(t, i, opaqueToken)
		if got == "a contradiction" {
			t.Fatal(got)
		}
		if got != "accepted" {
			return
		}
		var reference map[string]any
		if err := json.Unmarshal([]byte(body), &reference); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		aud, _ := reference["aud"].([]any)
		if one, ok := reference["aud"].(string); ok {
			aud = []any{one}
		}
		iss := reference["iss"]
		exp, hasExp := reference["exp"].(float64)
		use, _ := reference["token_use"].(string)
		switch {
		case reference["active"] != true:
			t.Errorf("accepted with active %v", reference["active"])
		case !slices.Contains(aud, testAudience):
			t.Errorf("accepted for %v", aud)
		case iss != nil && iss != testURL:
			t.Errorf("accepted of the issuer %v", iss)
		case token.Subject == "":
			t.Error("accepted without a subject")
		case reference["exp"] != nil && !hasExp, hasExp && exp+defaultLeeway.Seconds() < float64(now.Unix()):
			t.Errorf("accepted with exp %v", reference["exp"])
		case strings.Contains(strings.ToLower(use), "refresh"):
			t.Error("a refresh token was accepted")
		case reference["cnf"] != nil:
			t.Error("a bound token was accepted")
		}
	})
}

// FuzzUserInfoAnswer: a token is accepted only with a subject that encoding/json
// reads as well.
func FuzzUserInfoAnswer(f *testing.F) {
	f.Add(asJSON, gitHubUser)
	f.Add(asJSON, `{"id":"7"}`)
	f.Add(asJSON, `{"id":1e3,"ID":2}`)
	f.Fuzz(func(t *testing.T, contentType, body string) {
		u := newUserInfo(t, func(u *UserInfo) { u.Ask, u.SubjectClaim = says(contentType, body), "id" })
		got, token, _ := outcome(t, u, opaqueToken)
		if got == "a contradiction" {
			t.Fatal(got)
		}
		if got != "accepted" {
			return
		}
		var reference map[string]any
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.UseNumber()
		if err := decoder.Decode(&reference); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		subject, ok := reference["id"].(string)
		if number, isNumber := reference["id"].(json.Number); isNumber {
			subject, ok = number.String(), true
		}
		if !ok || subject == "" || subject != token.Subject {
			t.Errorf("accepted as %q, and id is %v", token.Subject, reference["id"])
		}
	})
}
