package cognito

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// call calls an operation of the JSON API, once. The operations of this package
// need no signature.
func (p *Pool) call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return errors.New("cognito: the request to Cognito cannot be written as JSON")
	}
	at := p.Endpoint
	if at == "" {
		at = "https://cognito-idp." + p.Region + ".amazonaws.com/"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return errors.New("cognito: Pool.Endpoint is not a URL")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService."+operation)
	resp, err := endpoint.Client(p.Client).Do(req)
	if err != nil {
		return endpoint.Error(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body) // bounded and in memory already
	if err != nil {
		return endpoint.Error(err)
	}
	if resp.StatusCode != http.StatusOK {
		return exception(resp, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return errNoTokens
	}
	return nil
}

func (p *Pool) initiateFlow(ctx context.Context, flow string, parameters map[string]string) (authentication, error) {
	type input struct {
		AuthFlow       string
		ClientID       string `json:"ClientId"`
		AuthParameters map[string]string
	}
	var out authentication
	err := p.call(ctx, "InitiateAuth", input{flow, p.ClientID, parameters}, &out)
	return out, err
}

// secretHash returns the SECRET_HASH of InitiateAuth. At a refresh, username
// must be the user's own name, and not an alias such as an address.
func (p *Pool) secretHash(username string) string {
	mac := hmac.New(sha256.New, []byte(p.ClientSecret))
	mac.Write([]byte(username + p.ClientID))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

var errNoTokens = fmt.Errorf("%w: what came has no tokens", refresh.ErrNoAnswer)

// An authentication is the answer of the operations that return tokens.
type authentication struct {
	AuthenticationResult struct {
		AccessToken  string
		RefreshToken string
		IDToken      string `json:"IdToken"`
		TokenType    string
		ExpiresIn    any // seconds; some emulators leave it out
	}
	ChallengeName string
}

// tokens returns the tokens of the answer. What the answer lacks is taken from
// old.
func (a *authentication) tokens(old refresh.Tokens) (refresh.Tokens, error) {
	r := &a.AuthenticationResult
	switch {
	case r.AccessToken == "":
		return refresh.Tokens{}, errNoTokens
	case r.TokenType != "" && r.TokenType != "Bearer":
		return refresh.Tokens{}, errors.New("cognito: the provider's TokenType is not Bearer")
	}
	t := refresh.Tokens{Access: r.AccessToken, Refresh: r.RefreshToken, ID: r.IDToken}
	if left := endpoint.Seconds(r.ExpiresIn); left > 0 {
		t.Expiry = time.Now().Add(left)
	} else {
		t.Expiry = ownerOf(t).expiry
	}
	if t.ID == "" {
		t.ID = old.ID
	}
	if t.Refresh == "" || t.Refresh == old.Refresh {
		t.Refresh, t.RefreshExpiry = old.Refresh, old.RefreshExpiry
	}
	return t, nil
}

// An owner holds claims of the tokens of a login. They are not verified: the
// name and the device key are sent only to Cognito, which has issued them, and
// the expiry is a hint.
type owner struct {
	username  string
	deviceKey string
	expiry    time.Time
}

func ownerOf(t refresh.Tokens) owner {
	type claims struct {
		Username  string `json:"username"`
		FromID    string `json:"cognito:username"`
		DeviceKey string `json:"device_key"`
		jwt.RegisteredClaims
	}
	var o owner
	var access, id claims
	if _, _, err := jwt.NewParser().ParseUnverified(t.Access, &access); err == nil {
		o.username, o.deviceKey = access.Username, access.DeviceKey
		if access.ExpiresAt != nil {
			o.expiry = access.ExpiresAt.Time
		}
	}
	if o.username != "" || t.ID == "" {
		return o
	}
	if _, _, err := jwt.NewParser().ParseUnverified(t.ID, &id); err == nil {
		o.username = id.FromID
	}
	return o
}
