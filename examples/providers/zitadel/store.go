package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// A store is the example's storage in memory, with what that has not: short
// lives, keys that rotate, and clients with keys of their own.
type store struct {
	*storage.Storage
	life    time.Duration
	clients map[string]client

	mu     sync.Mutex
	keys   []*key // the newest last
	expiry map[string]time.Time
}

// A client is one by the names of RFC 7591, as far as they matter here.
type client struct {
	ID                     string              `json:"client_id"`
	Secret                 string              `json:"client_secret"`
	RedirectURIs           []string            `json:"redirect_uris"`
	PostLogoutRedirectURIs []string            `json:"post_logout_redirect_uris"`
	AuthMethod             oidc.AuthMethod     `json:"token_endpoint_auth_method"`
	Keys                   *jose.JSONWebKeySet `json:"jwks"`
	Opaque                 bool                `json:"opaque"` // its access tokens are no JWTs
}

// A known client is one of the example's with the settings of the test.
type known struct {
	op.Client
	client
	life time.Duration
}

func (k known) RedirectURIs() []string           { return k.client.RedirectURIs }
func (k known) PostLogoutRedirectURIs() []string { return k.client.PostLogoutRedirectURIs }
func (k known) AuthMethod() oidc.AuthMethod      { return k.client.AuthMethod }

func (k known) IDTokenLifetime() time.Duration { return k.life }

func (k known) AccessTokenType() op.AccessTokenType {
	if k.Opaque {
		return op.AccessTokenTypeBearer
	}
	return op.AccessTokenTypeJWT
}

func newStore(c config) (*store, error) {
	people, models := users{}, map[string]*storage.Client{}
	for _, name := range c.Users {
		people[name] = &storage.User{ID: name, Username: name, Password: "any", Email: name + "@shop.example", EmailVerified: true}
	}
	s := &store{life: c.AccessLife, clients: map[string]client{}, expiry: map[string]time.Time{}}
	for _, client := range c.Clients {
		models[client.ID] = storage.WebClient(client.ID, client.Secret, client.RedirectURIs...)
		s.clients[client.ID] = client
	}
	s.Storage = storage.NewStorageWithClients(people, models)
	return s, s.rotate()
}

// GetClientByClientID implements [op.Storage].
func (s *store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	model, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return known{Client: model, client: s.clients[id], life: s.life}, nil
}

// GetKeyByIDAndClientID implements [op.Storage]: the key of a client that
// proves itself by a signature.
func (s *store) GetKeyByIDAndClientID(_ context.Context, id, clientID string) (*jose.JSONWebKey, error) {
	if keys := s.clients[clientID].Keys; keys != nil {
		for _, key := range keys.Keys {
			if key.KeyID == id {
				return &key, nil
			}
		}
	}
	return nil, errors.New("the client has no such key")
}

// CreateAccessToken implements [op.Storage].
func (s *store) CreateAccessToken(ctx context.Context, r op.TokenRequest) (string, time.Time, error) {
	id, _, err := s.Storage.CreateAccessToken(ctx, r)
	return id, s.expires(id), err
}

// CreateAccessAndRefreshTokens implements [op.Storage].
func (s *store) CreateAccessAndRefreshTokens(ctx context.Context, r op.TokenRequest, current string) (string, string, time.Time, error) {
	id, refresh, _, err := s.Storage.CreateAccessAndRefreshTokens(ctx, r, current)
	return id, refresh, s.expires(id), err
}

// expires returns when an access token that is made now ends.
func (s *store) expires(id string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := time.Now().Add(s.life)
	s.expiry[id] = end
	return end
}

func (s *store) isOver(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().After(s.expiry[id])
}

var errOver = errors.New("the access token has expired")

// SetUserinfoFromToken implements [op.Storage].
func (s *store) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, id, subject, origin string) error {
	if s.isOver(id) {
		return errOver
	}
	return s.Storage.SetUserinfoFromToken(ctx, info, id, subject, origin)
}

// SetIntrospectionFromToken implements [op.Storage].
func (s *store) SetIntrospectionFromToken(ctx context.Context, info *oidc.IntrospectionResponse, id, subject, clientID string) error {
	if s.isOver(id) {
		return errOver
	}
	return s.Storage.SetIntrospectionFromToken(ctx, info, id, subject, clientID)
}

// A key signs, and is one of those that are published.
type key struct {
	id      string
	private *rsa.PrivateKey
}

// A published key is the public half.
type published struct{ *key }

func (k *key) ID() string                                  { return k.id }
func (k *key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k *key) Key() any                                    { return k.private }
func (k published) Key() any                               { return &k.private.PublicKey }
func (k published) Algorithm() jose.SignatureAlgorithm     { return jose.RS256 }
func (k published) Use() string                            { return "sig" }

// rotate makes the key that signs from now on.
func (s *store) rotate() error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, &key{id: uuid.NewString(), private: private})
	return nil
}

// SigningKey implements [op.Storage].
func (s *store) SigningKey(context.Context) (op.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[len(s.keys)-1], nil
}

// KeySet implements [op.Storage].
func (s *store) KeySet(context.Context) (set []op.Key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		set = append(set, published{k})
	}
	return set, nil
}

// administration returns what an administrator can do: POST /rotate the keys,
// and POST /revoke what a user has at a client.
func (s *store) administration() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, r *http.Request) { answer(w, s.rotate()) })
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		answer(w, s.TerminateSession(r.Context(), r.FormValue("user"), r.FormValue("client")))
	})
	return mux
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
