package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func ExampleOAuth2_Introspect() {
	provider := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // stands for yours
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"active":%t}`, r.PostFormValue("token") == "good")
	})
	client := &refresh.OAuth2{
		ClientID: "client", ClientSecret: "s3cr3t", Client: refreshtest.Client(provider),
		TokenURL: "https://provider.test/token", IntrospectURL: "https://provider.test/introspect",
	}
	body, contentType, err := client.Introspect(context.Background(), "good")
	fmt.Printf("%s, %s, %v\n", body, contentType, err)
	// Output: {"active":true}, application/json, <nil>
}

func TestPush(t *testing.T) {
	p := &recorder{}
	client := p.client(func(o *refresh.OAuth2) { o.ClientSecret = "s" })
	uri, life, err := client.Push(t.Context(), url.Values{"response_type": {"code"}, "scope": {"openid"}, "state": {"x"}, "resource": {"a", "b"}, "client_id": {"another"}})
	if err != nil || uri != "urn:example:1" || life != time.Minute {
		t.Errorf("Push = %q, %v, %v", uri, life, err)
	}
	form := p.forms[0]
	if user, _, _ := (&http.Request{Header: p.headers[0]}).BasicAuth(); user != "client" || p.paths[0] != "/par" || fmt.Sprint(form["client_id"], form["resource"], form["state"]) != "[client] [a b] [x]" {
		t.Errorf("%s got %v of %s", p.paths[0], form, user)
	}
	if _, _, err := client.Push(t.Context(), url.Values{"request_uri": {"urn:x"}}); err == nil || len(p.forms) != 1 {
		t.Errorf("a request_uri is pushed: %v", err)
	}

	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string // of the error; empty: none
	}{
		{"with 200", 200, `{"request_uri":"urn:x","expires_in":"90"}`, ""},
		{"without a time", 201, `{"request_uri":"urn:x"}`, ""},
		{"without what it is for", 201, `{}`, "no request_uri"},
		{"without its scheme", 201, `{"request_uri":"x"}`, "no URI"},
		{"with a line break", 201, `{"request_uri":"urn:x\r\ny"}`, "no URI"},
		{"too long for an address", 201, `{"request_uri":"urn:` + strings.Repeat("x", 5000) + `"}`, "no URI"},
		{"as a list", 201, `{"request_uri":["urn:x"]}`, "no request_uri"},
		{"a refusal", 400, `{"error":"invalid_request","error_description":"x"}`, "invalid_request"},
		{"a wrong client", 401, `{"error":"invalid_client"}`, "invalid_client"},
		{"a dead grant, which it cannot be", 400, `{"error":"invalid_grant"}`, "invalid_grant"},
		{"a proxy", 502, `<h1>Bad gateway</h1>`, "502"},
	} {
		client := answering(c.status, "application/json", c.body)
		client.PushURL = "https://provider.test/par"
		uri, _, err := client.Push(t.Context(), url.Values{"state": {"x"}})
		if c.want == "" && (err != nil || uri != "urn:x") || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || uri != "" || errors.Is(err, refresh.ErrDenied)) {
			t.Errorf("%s: %q, %v, want %q", c.name, uri, err, c.want)
		}
	}
}

func TestIntrospect(t *testing.T) {
	for signed, accept := range map[bool]string{false: "application/json", true: "application/token-introspection+jwt"} {
		p := &recorder{}
		client := p.client(func(o *refresh.OAuth2) { o.ClientSecret, o.SignedIntrospection = "s", signed })
		body, contentType, err := client.Introspect(t.Context(), "the token")
		if err != nil || string(body) != `{"active":true}` || contentType != "application/json" {
			t.Errorf("Introspect = %s, %s, %v", body, contentType, err)
		}
		if p.paths[0] != "/introspect" || p.forms[0].Get("token") != "the token" || p.forms[0].Get("token_type_hint") != "access_token" ||
			p.headers[0].Get("Accept") != accept || p.headers[0].Get("Authorization") == "" {
			t.Errorf("%s got %v, %v", p.paths[0], p.forms[0], p.headers[0])
		}
	}
}

func TestUserInfo(t *testing.T) {
	p := &recorder{}
	client := p.client(func(o *refresh.OAuth2) { o.ClientSecret = "s" })
	body, contentType, err := client.UserInfo(t.Context(), "the-token")
	if err != nil || string(body) != `{"active":true}` || contentType != "application/json" {
		t.Errorf("UserInfo = %s, %s, %v", body, contentType, err)
	}
	if p.paths[0] != "/userinfo" || len(p.forms[0]) != 0 || p.headers[0].Get("Authorization") != "Bearer the-token" {
		t.Errorf("%s got %v, %v", p.paths[0], p.forms[0], p.headers[0])
	}
	for _, token := range []string{"", "a b", "a\r\nX-Other: b", "ü", strings.Repeat("\x00", 3)} {
		_, _, err := client.UserInfo(t.Context(), token)
		if refused, ok := errors.AsType[*refresh.ProviderError](err); !ok || refused.Status != 401 || len(p.paths) != 1 {
			t.Errorf("%q: %v, %d requests, want a 401 and no request", token, err, len(p.paths))
		}
	}
}

// What the two questions about a token come to: which of their errors say that
// the token is not good.
func TestAnErrorOfAQuestionIsTemporary(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
	}{
		{"a bad token", 401, `{"error":"invalid_token"}`},
		{"a proxy", 401, `Jwt is missing`},
		{"a scope", 403, `{"error":"insufficient_scope"}`},
		{"a dead grant", 400, `{"error":"invalid_grant"}`},
		{"a failure", 500, ``},
		{"an overload", 429, ``},
		{"a redirect", 302, ``},
		{"no content", 204, ``},
		{"an answer to something else", 201, `{"active":true}`},
	} {
		client := answering(c.status, "application/json", c.body)
		client.IntrospectURL, client.UserInfoURL = "https://provider.test/introspect", "https://provider.test/userinfo"
		body, kind, introspected := client.Introspect(t.Context(), "an-access-token-that-nobody-may-see")
		info, kindOfInfo, asked := client.UserInfo(t.Context(), "an-access-token-that-nobody-may-see")
		if body != nil || info != nil || kind+kindOfInfo != "" {
			t.Errorf("%s: a body beside an error", c.name)
		}
		for _, err := range []error{introspected, asked} {
			refused, ok := errors.AsType[*refresh.ProviderError](err)
			if !ok || refused.Status != c.status || refused.Denied || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("%s: error is %v, want the status and no end of a login", c.name, err)
			}
			silence.Error(t, err, "an-access-token-that-nobody-may-see")
		}
	}
}

func TestAQuestionToNobody(t *testing.T) {
	client := &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token"}
	_, _, pushed := client.Push(t.Context(), nil)
	_, _, introspected := client.Introspect(t.Context(), "x")
	_, _, asked := client.UserInfo(t.Context(), "x")
	for field, err := range map[string]error{"PushURL": pushed, "IntrospectURL": introspected, "UserInfoURL": asked} {
		if err == nil || !strings.Contains(err.Error(), "OAuth2."+field+" is empty") {
			t.Errorf("error is %v, want one that names %s", err, field)
		}
	}
	client.TokenURL = ""
	client.Discovery = &discovery.Provider{Issuer: "https://provider.test", Client: refreshtest.Client(http.NotFoundHandler())}
	if _, _, err := client.Introspect(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "discovery: ") {
		t.Errorf("error is %v, want that of the discovery", err)
	}
	client.Discovery.Issuer = ""
	if _, _, err := client.Introspect(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "OAuth2.Discovery") {
		t.Errorf("error is %v, want that of Validate", err)
	}
}

func TestALongAnswerIsRefused(t *testing.T) {
	client := answering(200, "application/json", `{"a":"`+strings.Repeat("x", 1<<20)+`"}`)
	client.IntrospectURL, client.UserInfoURL = "https://provider.test/introspect", "https://provider.test/userinfo"
	if body, _, err := client.Introspect(t.Context(), "x"); err == nil || body != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if body, _, err := client.UserInfo(t.Context(), "x"); err == nil || body != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
