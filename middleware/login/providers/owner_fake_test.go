package providers_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// foreign returns an access token that the user has given to another client.
func (f *fake) foreign() string {
	s := &session{
		access: "opaque-of-another", issued: time.Now(), issuer: f.endpoint("issuer"),
		client: "another-client", sub: f.userID, life: f.life,
	}
	f.sessions[s.access] = s
	return s.access
}

// isDown answers a request about an access token where the provider cannot.
func (f *fake) isDown(w http.ResponseWriter) bool {
	if f.down == 0 {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.down)
	_, _ = w.Write([]byte(f.downAs))
	return true
}

// serveUser is the userinfo endpoint, or the user API.
func (f *fake) serveUser(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.find(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	switch {
	case f.isDown(w):
	case s == nil && f.folder == "slack":
		writeJSON(w, http.StatusOK, map[string]any{"ok": false, "error": "invalid_auth"})
	case s == nil:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
	case f.folder == "hydra":
		writeJSON(w, http.StatusOK, map[string]any{
			"aud": []string{s.client}, "auth_time": 1700000000, "iat": 1700000000, "iss": s.issuer, "rat": 1700000000, "sub": s.sub,
		})
	case f.user != "":
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(f.user))
	default:
		writeJSON(w, http.StatusOK, map[string]any{"sub": s.sub})
	}
}

// serveIntrospect is the introspection endpoint of the document.
func (f *fake) serveIntrospect(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s := f.find(r.FormValue("token")); {
	case f.isDown(w):
	case !f.knows(r):
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	case s == nil:
		writeJSON(w, http.StatusOK, map[string]any{"active": false})
	case f.folder == "gitlab":
		writeJSON(w, http.StatusOK, map[string]any{
			"active": true, "scope": "openid profile email", "client_id": s.client, "token_type": "Bearer",
			"exp": s.issued.Add(s.life).Unix(), "iat": s.issued.Unix(),
		})
	case f.folder == "salesforce":
		writeJSON(w, http.StatusOK, map[string]any{
			"active": true, "scope": "id refresh_token openid", "client_id": s.client, "username": "ann@shop.example",
			"sub": s.sub, "token_type": "access_token", "exp": s.issued.Add(s.life).Unix(), "iat": s.issued.Unix(), "nbf": s.issued.Unix(),
		})
	default:
		claims := s.claims([]string{s.client, "projects/7"})
		claims["active"], claims["client_id"], claims["scope"], claims["token_type"] = true, s.client, "openid", "Bearer"
		writeJSON(w, http.StatusOK, claims)
	}
}

// serveOwner has what no document names: where GitHub, Discord and LinkedIn say
// for which client a token is.
func (f *fake) serveOwner(w http.ResponseWriter, r *http.Request, at string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch at {
	case strings.TrimSuffix(f.endpoint("userinfo_endpoint"), "/user") + "/applications/" + clientID + "/token":
		f.serveGitHub(w, r)
	case "https://discord.com/api/oauth2/@me":
		s := f.find(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		switch {
		case f.isDown(w):
		case s == nil:
			writeJSON(w, http.StatusUnauthorized, map[string]any{"message": "401: Unauthorized", "code": 0})
		default:
			writeJSON(w, http.StatusOK, map[string]any{
				"application": map[string]any{"id": s.client, "name": "Shop", "icon": nil, "bot_public": true},
				"scopes":      []string{"identify"},
				"expires":     s.issued.Add(s.life).UTC().Format("2006-01-02T15:04:05.000000-07:00"),
				"user":        map[string]any{"id": f.userID, "username": "ann", "discriminator": "0"},
			})
		}
	case "https://www.linkedin.com/oauth/v2/introspectToken":
		s := f.find(r.FormValue("token"))
		switch {
		case f.isDown(w):
		case !f.knows(r):
			writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		case s == nil:
			writeJSON(w, http.StatusOK, map[string]any{"active": false, "status": "expired"})
		default:
			writeJSON(w, http.StatusOK, map[string]any{
				"active": true, "client_id": s.client, "authorized_at": s.issued.Unix(), "created_at": s.issued.Unix(),
				"status": "active", "expires_at": s.issued.Add(s.life).Unix(), "scope": "email,openid,profile", "auth_type": "3L",
			})
		}
	default:
		return false
	}
	return true
}

// serveGitHub checks a token, as POST /applications/{client_id}/token does.
func (f *fake) serveGitHub(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Token string `json:"access_token"`
	}
	id, secret, _ := r.BasicAuth()
	_ = json.NewDecoder(r.Body).Decode(&asked)
	s := f.find(asked.Token)
	switch {
	case f.isDown(w):
	case r.Method != http.MethodPost || id != clientID || secret != clientSecret:
		writeJSON(w, http.StatusUnauthorized, map[string]any{"message": "Requires authentication"})
	case s == nil || s.client != clientID:
		writeJSON(w, http.StatusNotFound, map[string]any{"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})
	default:
		writeJSON(w, http.StatusOK, map[string]any{
			"id": 1, "url": "https://api.github.com/authorizations/1", "scopes": []string{"read:user"}, "token": asked.Token,
			"token_last_eight": asked.Token[len(asked.Token)-8:], "hashed_token": "25f94a2a5c7fbaf499c665bc73d67c1c87e496da8985131633ee0a95819db2e8",
			"app":  map[string]any{"url": "http://shop.example", "name": "Shop", "client_id": s.client},
			"note": nil, "note_url": nil, "updated_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z", "fingerprint": nil,
			"expires_at": s.issued.Add(s.life).UTC().Format(time.RFC3339),
			"user":       map[string]any{"login": "ann", "id": json.Number(f.userID), "type": "User"},
		})
	}
}
