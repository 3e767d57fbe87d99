package local

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// reserved are the claims that Claims cannot set: those that an Issuer sets,
// and nbf.
var reserved = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid"}

// signAccess returns a new access token (RFC 9068).
func (i *Issuer) signAccess(ctx context.Context, subject, session string) (refresh.Tokens, error) {
	claims := map[string]any{}
	if i.Claims != nil {
		more, err := i.Claims(ctx, subject)
		if err != nil {
			return refresh.Tokens{}, fmt.Errorf("Issuer.Claims: %w", err)
		}
		for name, value := range more {
			// Upper and lower case alike: some verifiers take ISS for iss.
			if slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(name, r) }) {
				return refresh.Tokens{}, fmt.Errorf("Issuer.Claims returned %.40q, which the Issuer sets itself", name)
			}
			claims[name] = value
		}
	}
	keys, err := i.keySet(ctx)
	if err != nil {
		return refresh.Tokens{}, err
	}
	now := time.Now()
	ends := now.Add(i.life).Truncate(time.Second)
	claims["iss"] = i.URL
	claims["sub"] = subject
	claims["aud"] = i.Audience
	claims["iat"] = now.Unix()
	claims["exp"] = ends.Unix()
	claims["jti"] = rand.Text()
	claims["sid"] = session
	claims["client_id"] = i.URL // the service is its own and only client
	signed, err := keys.signing.Sign("at+jwt", claims)
	if err != nil {
		return refresh.Tokens{}, err
	}
	return refresh.Tokens{Access: signed, Expiry: ends}, nil
}

// nextAccess is the Refresher behind the sessions. It returns a new access
// token for the subject and session of old.Access, which this Issuer has signed
// and package sessions has kept sealed, so that it need not be verified.
func (i *Issuer) nextAccess(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	var whose struct {
		Subject string `json:"sub"`
		Session string `json:"sid"`
	}
	_, rest, _ := strings.Cut(old.Access, ".")
	payload, _, _ := strings.Cut(rest, ".")
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(plain, &whose) != nil || whose.Subject == "" {
		return refresh.Tokens{}, errors.New("a login whose access token cannot be read")
	}
	return i.signAccess(ctx, whose.Subject, whose.Session)
}
