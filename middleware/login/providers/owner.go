package providers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// An askFunc asks a provider about an access token, for [verify.Introspection]
// and [verify.UserInfo].
type askFunc func(ctx context.Context, token string) (body []byte, contentType string, err error)

// members are those of a JSON object.
type members map[string]json.RawMessage

const maxOwner = 64 << 10 // of an answer, in bytes

var errNotJSON = errors.New("providers: the answer is not a JSON object")

// aboutTheToken are the members of an introspection answer that say something
// of the token. What a userinfo endpoint has under these names does not.
var aboutTheToken = []string{
	"active", "client_id", "aud", "azp", "exp", "nbf", "iat", "iss", "jti", "sid", "scope", "scp", "cnf", "token_type", "token_use", "typ",
}

// add copies the members of user that m lacks and that are not about the token.
func (m members) add(user members) {
	for name, value := range user {
		if _, has := m[name]; !has && !slices.Contains(aboutTheToken, name) {
			m[name] = value
		}
	}
}

func (m members) set(name string, value any) { m[name], _ = json.Marshal(value) } // strings and numbers

func (m members) text(name string) (s string) {
	_ = json.Unmarshal(m[name], &s)
	return s
}

func (m members) answer() ([]byte, string, error) {
	body, err := json.Marshal(m)
	return body, "application/json", err
}

func object(body []byte) (members, error) {
	var m members
	if json.Unmarshal(body, &m) != nil || m == nil {
		return nil, errNotJSON
	}
	return m, nil
}

// askBoth asks the introspection endpoint for which client a token is, and the
// userinfo endpoint whose it is: at GitLab and LinkedIn neither says both.
func askBoth(_ Provider, _ Client, o *refresh.OAuth2) askFunc {
	return func(ctx context.Context, token string) ([]byte, string, error) {
		body, contentType, err := o.Introspect(ctx, token)
		if err != nil {
			return nil, "", err
		}
		m, err := object(body)
		if err != nil || string(m["active"]) != "true" || m.text("client_id") != o.ClientID {
			return body, contentType, nil // it will be refused
		}
		if _, has := m["exp"]; !has && len(m["expires_at"]) > 0 { // LinkedIn
			m["exp"] = m["expires_at"]
		}
		m.set("scope", strings.ReplaceAll(m.text("scope"), ",", " "))
		return askUser(ctx, o, token, m)
	}
}

// askUser adds what the userinfo endpoint says of the user to m.
func askUser(ctx context.Context, o *refresh.OAuth2, token string, m members) ([]byte, string, error) {
	body, _, err := o.UserInfo(ctx, token)
	if err != nil {
		return nil, "", refusedBy(err)
	}
	user, err := object(body)
	if err != nil {
		return nil, "", err
	}
	m.add(user)
	return m.answer()
}

// refusedBy makes an answer of 401 one that refuses the token. A 403 does not:
// GitHub sends it to a client that asks too often.
func refusedBy(err error) error {
	if answer, ok := errors.AsType[*refresh.ProviderError](err); ok && answer.Status == http.StatusUnauthorized {
		return verify.ErrInvalid
	}
	return err
}

// askUserInfo asks the userinfo endpoint whose a token is.
func askUserInfo(_ Provider, _ Client, o *refresh.OAuth2) askFunc {
	return func(ctx context.Context, token string) ([]byte, string, error) {
		body, contentType, err := o.UserInfo(ctx, token)
		if err != nil {
			return nil, "", refusedBy(err)
		}
		return body, contentType, nil
	}
}

// askGitHub asks GitHub whether a token is one of this client, and whose it is
// (POST /applications/{client_id}/token of its REST API). GET /user alone would
// take the tokens of every app.
func askGitHub(p Provider, c Client, o *refresh.OAuth2) askFunc {
	at := strings.TrimSuffix(p.UserInfoURL, "/user") + "/applications/" + url.PathEscape(c.ID) + "/token"
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c.HTTP != nil {
		client.Transport = c.HTTP.Transport
	}
	return func(ctx context.Context, token string) ([]byte, string, error) {
		asked, _ := json.Marshal(map[string]string{"access_token": token})
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(asked))
		if err != nil {
			return nil, "", errors.New("providers: UserInfoURL does not make a URL")
		}
		req.SetBasicAuth(c.ID, c.Secret)
		req.Header.Set("Accept", "application/vnd.github+json")
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			if failed, ok := errors.AsType[*url.Error](err); ok {
				err = failed.Err // the URL is in the error of the caller
			}
			return nil, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxOwner+1))
		switch {
		case err != nil:
			return nil, "", err
		case resp.StatusCode == http.StatusNotFound: // what it says of tokens of others, too
			return nil, "", verify.ErrInvalid
		case resp.StatusCode != http.StatusOK || len(body) > maxOwner:
			return nil, "", fmt.Errorf("providers: GitHub answered %d to the check of a token", resp.StatusCode)
		}
		// The answer has the token itself, so only what is needed is taken.
		var answer struct {
			App struct {
				ClientID string `json:"client_id"`
			} `json:"app"`
			Scopes  []string   `json:"scopes"`
			Expires *time.Time `json:"expires_at"`
			User    struct {
				ID json.Number `json:"id"`
			} `json:"user"`
		}
		if json.Unmarshal(body, &answer) != nil {
			return nil, "", errNotJSON
		}
		return askUser(ctx, o, token, ownerOf(answer.App.ClientID, answer.User.ID.String(), answer.Scopes, answer.Expires))
	}
}

// askDiscord asks Discord for which application a token is, and whose it is
// (GET /oauth2/@me of its API). GET /users/@me alone would take the tokens of
// every application.
func askDiscord(p Provider, _ Client, o *refresh.OAuth2) askFunc {
	// The same client, with the one endpoint that is another.
	about := &refresh.OAuth2{
		ClientID: o.ClientID, TokenURL: o.TokenURL, AuthMethod: "none", Client: o.Client,
		UserInfoURL: strings.TrimSuffix(p.UserInfoURL, "/users/@me") + "/oauth2/@me",
	}
	return func(ctx context.Context, token string) ([]byte, string, error) {
		body, _, err := about.UserInfo(ctx, token)
		if err != nil {
			return nil, "", refusedBy(err)
		}
		var answer struct {
			Application struct {
				ID string `json:"id"`
			} `json:"application"`
			Scopes  []string   `json:"scopes"`
			Expires *time.Time `json:"expires"`
			User    struct {
				ID string `json:"id"`
			} `json:"user"`
		}
		if json.Unmarshal(body, &answer) != nil {
			return nil, "", errNotJSON
		}
		return askUser(ctx, o, token, ownerOf(answer.Application.ID, answer.User.ID, answer.Scopes, answer.Expires))
	}
}

// ownerOf returns an introspection answer (RFC 7662, section 2.2).
func ownerOf(client, subject string, scopes []string, expires *time.Time) members {
	m := members{"active": json.RawMessage("true")}
	m.set("client_id", client)
	m.set("sub", subject)
	m.set("scope", strings.Join(scopes, " "))
	if expires != nil {
		m["exp"] = json.RawMessage(strconv.FormatInt(expires.Unix(), 10))
	}
	return m
}

// slackRefusals are the errors with which Slack says that a token is not good.
// All others, such as internal_error, say nothing of it.
var slackRefusals = []string{
	"account_inactive", "invalid_auth", "no_permission", "not_authed", "org_login_required", "token_expired", "token_revoked", "user_removed_from_team",
}

// askSlack asks Slack whose a token is. An error of Slack has the status 200.
func askSlack(_ Provider, _ Client, o *refresh.OAuth2) askFunc {
	return func(ctx context.Context, token string) ([]byte, string, error) {
		body, contentType, err := o.UserInfo(ctx, token)
		if err != nil {
			return nil, "", refusedBy(err)
		}
		m, err := object(body)
		switch {
		case err != nil:
			return nil, "", err
		case string(m["ok"]) == "true":
			return body, contentType, nil
		case slices.Contains(slackRefusals, m.text("error")):
			return nil, "", verify.ErrInvalid
		}
		return nil, "", errors.New("providers: Slack answered with an error that says nothing of the token")
	}
}

// ofHydraClient refuses the tokens of other clients: the member aud of Hydra's
// userinfo answer has the client.
func ofHydraClient(clientID string) func(*verify.Token) error {
	return func(t *verify.Token) error {
		var claims struct {
			Audience []string `json:"aud"`
		}
		if err := t.Claims(&claims); err != nil || !slices.Contains(claims.Audience, clientID) {
			return errors.New("aud is not the client")
		}
		return nil
	}
}
