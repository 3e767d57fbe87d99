package refresh_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const opaque = "v1.MRqxLnDbS0tUq3Yc-wkV9Zp2FhA7eJ5oGi8T"

// described returns what is told of a refusal with a description.
func described(t *testing.T, code, description string) *refresh.ProviderError {
	t.Helper()
	body, err := json.Marshal(map[string]string{"error": code, "error_description": description})
	if err != nil {
		t.Fatal(err)
	}
	client := answering(400, "application/json", string(body))
	client.ClientSecret = "a secret that nobody may see"
	_, err = client.Refresh(t.Context(), refresh.Tokens{Refresh: opaque})
	refused, ok := errors.AsType[*refresh.ProviderError](err)
	if !ok {
		t.Fatalf("error is %v", err)
	}
	silence.Error(t, refused, opaque, client.ClientSecret)
	return refused
}

func TestADescriptionIsForTheLog(t *testing.T) {
	for _, c := range []struct{ name, code, description, want string }{
		{"words", "invalid_grant", "The refresh token is invalid or expired.", "The refresh token is invalid or expired."},
		{
			"Entra ID", "invalid_grant",
			"AADSTS70008: The refresh token has expired due to inactivity.\r\nTrace ID: 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\r\nTimestamp: 2026-01-02 03:04:05Z",
			"AADSTS70008: The refresh token has expired due to inactivity. Trace ID: 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 Timestamp: 2026-01-02 03:04:05Z",
		},
		{"none", "invalid_grant", "", ""},
		{"a code that is not known", "TokenGone", "", "TokenGone"},
		{"a code that is not known, and words", "TokenGone", "Sign in again.", "TokenGone: Sign in again."},
		{"the token", "invalid_grant", "No such token: " + opaque, ""},
		{"a piece of the token", "invalid_grant", "No such token: " + opaque[8:20] + "…", ""},
		{"the token in capitals", "invalid_grant", "NO SUCH TOKEN: " + strings.ToUpper(opaque), ""},
		{"the token, escaped", "invalid_grant", "No such token: " + strings.ReplaceAll(opaque, "-", "%2D"), ""},
		{"the token behind an invisible sign", "invalid_grant", "No such token: " + opaque[:10] + "\u200b" + opaque[10:], ""},
		{"the token in small pieces", "invalid_grant", "No such token: " + opaque[:9] + " " + opaque[9:18] + " " + opaque[18:27] + " " + opaque[27:], ""},
		{"the token in pieces that are quoted", "invalid_grant", "No such token: '" + opaque[:9] + "', '" + opaque[9:18] + "'", ""},
		{"the token in base64", "invalid_grant", "No such token: " + base64.StdEncoding.EncodeToString([]byte("r="+opaque)), ""},
		{"the token in hexadecimal", "invalid_grant", "No such token: " + hex.EncodeToString([]byte(opaque)), ""},
		{"the token as the code", opaque, "", ""},
		{"the secret", "invalid_client", "Wrong: a secret that nobody may see", ""},
		{"the secret, escaped", "invalid_client", "Wrong: " + url.QueryEscape("a secret that nobody may see"), ""},
		{"the header", "invalid_client", "Bad header: Basic " + base64.StdEncoding.EncodeToString([]byte("client:a+secret+that+nobody+may+see")), ""},
		{"another token", "invalid_grant", "Use eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl instead", "Use … instead"},
		{"another secret", "invalid_grant", "session=4f9a8b7c6d5e4f3a2b1c is over", "… is over"},
		{"control characters", "invalid_grant", "a\x1b[31mb\x00c\u202ed\nINFO e", "a[31mbcd INFO e"},
		{"too long", "invalid_grant", strings.Repeat("ü ", 5000), strings.Repeat("ü ", 149) + "ü…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused := described(t, c.code, c.description)
			if refused.Description != c.want {
				t.Errorf("the description is %q\nwant %q", refused.Description, c.want)
			}
			if c.want != "" && len(c.description) > 0 && strings.Contains(refused.Error(), c.want) {
				t.Errorf("a user may see %q", refused.Error())
			}
			var log bytes.Buffer
			event.Log(slog.New(slog.NewJSONHandler(&log, nil))).Tell(t.Context(), event.Event{Kind: event.RefreshFailed, Err: refused})
			if strings.Contains(log.String(), `"description":`) != (c.want != "") {
				t.Errorf("the log tells %s", log.String())
			}
		})
	}
}

// Also of a revocation and a code nothing is repeated that was sent.
func TestADescriptionRepeatsNothingThatWasSent(t *testing.T) {
	client := answering(0, "", "")
	client.ClientSecret, client.RevokeURL, client.IntrospectURL, client.PushURL = "0123456789abcdef", client.TokenURL, client.TokenURL, client.TokenURL
	client.Client = refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		var said []string
		for _, name := range []string{"code", "code_verifier", "token", "state", "login_hint"} {
			said = append(said, form.Get(name))
		}
		w.WriteHeader(400)
		json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant", "error_description": "I got " + strings.Join(said, " ")})
	}))
	_, exchanged := client.Exchange(t.Context(), "a code that is long enough", "a verifier that is long enough", "https://site.test/")
	_, _, introspected := client.Introspect(t.Context(), "an access token that is long")
	_, _, pushed := client.Push(t.Context(), url.Values{"state": {"a state that is long enough"}, "login_hint": {"ann@shop.example"}})
	for _, err := range []error{exchanged, introspected, pushed, client.Revoke(t.Context(), refresh.Tokens{Refresh: "a refresh token that is long"})} {
		refused, ok := errors.AsType[*refresh.ProviderError](err)
		if !ok || refused.Description != "" {
			t.Errorf("error is %v, the description %q", err, refused.Description)
		}
	}
}

func FuzzDescription(f *testing.F) {
	f.Add("invalid_grant", "No such token: "+opaque)
	f.Add("x", opaque[:11]+"\u200b"+opaque[11:])
	f.Add("x", base64.RawURLEncoding.EncodeToString([]byte(opaque)))
	f.Fuzz(func(t *testing.T, code, description string) {
		body, err := json.Marshal(map[string]string{"error": "x" + code, "error_description": description})
		if err != nil {
			t.Skip()
		}
		client := &refresh.OAuth2{
			ClientID: "client", TokenURL: "https://provider.test/token",
			Client: &http.Client{Transport: answer{400, "application/json", string(body)}},
		}
		_, err = client.Refresh(t.Context(), refresh.Tokens{Refresh: opaque})
		refused, ok := errors.AsType[*refresh.ProviderError](err)
		if !ok {
			t.Fatalf("error is %v", err)
		}
		said := refused.Description
		if len([]rune(said)) > 300 {
			t.Errorf("%d characters", len([]rune(said)))
		}
		if strings.ContainsFunc(said, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("%q cannot be printed", said)
		}
		for i := 0; i+12 <= len(opaque); i++ {
			if strings.Contains(strings.ToLower(said+refused.Error()), strings.ToLower(opaque[i:i+12])) {
				t.Errorf("%q shows the token", said)
			}
		}
	})
}
