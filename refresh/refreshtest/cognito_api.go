package refreshtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// cognitoInput is the input of all operations.
type cognitoInput struct {
	ClientID       string `json:"ClientId"`
	ClientSecret   string
	RefreshToken   string
	DeviceKey      string
	Token          string
	AuthFlow       string
	AuthParameters map[string]string
}

// serveOperation answers a call of the JSON API.
func (c *Cognito) serveOperation(w http.ResponseWriter, r *http.Request, operation string) {
	var in cognitoInput
	if r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || json.NewDecoder(r.Body).Decode(&in) != nil {
		(&exception{Type: "SerializationException"}).write(w)
		return
	}
	switch operation {
	case "InitiateAuth", "GetTokensFromRefreshToken":
		c.serveTokens(w, r, operation, &in)
	case "RevokeToken":
		if e := c.revokeToken(&in); e != nil {
			c.refuse(w, e)
		}
	default:
		c.refuse(w, &exception{Type: "UnknownOperationException"})
	}
}

func (c *Cognito) refuse(w http.ResponseWriter, e *exception) {
	c.count(func() { c.stats.Refused++ })
	e.write(w)
}

func (c *Cognito) serveTokens(w http.ResponseWriter, r *http.Request, operation string, in *cognitoInput) {
	fault := c.begin()
	answer, refused := map[string]any(nil), c.fault(fault)
	if refused == nil && fault.spends() {
		answer, refused = c.authenticate(operation, in, fault)
	}
	c.count(func() { c.active-- }) // before the answer: see Provider.serveToken
	switch {
	case refused != nil:
		c.refuse(w, refused)
	case new(Provider).before(w, r, fault):
	case fault == LostAnswer:
		reset(w)
	case fault == LyingError:
		writeJSON(w, http.StatusInternalServerError, answer)
	default:
		writeJSON(w, http.StatusOK, answer)
	}
}

// fault returns the exception of the JSON API for a fault, or nil if there is
// none.
func (c *Cognito) fault(f Fault) *exception {
	switch f {
	case ServerError:
		return &exception{http.StatusInternalServerError, "InternalErrorException", "Something went wrong"}
	case Overloaded:
		return &exception{Type: "TooManyRequestsException", Message: "Rate exceeded"}
	case InvalidClient:
		return &exception{Type: "NotAuthorizedException", Message: "Unable to verify secret hash for client " + c.clientID()}
	case Refuse:
		return &exception{Type: "NotAuthorizedException", Message: "Refresh Token has been revoked"}
	}
	return nil
}

// authenticate returns the answer of InitiateAuth and
// GetTokensFromRefreshToken.
func (c *Cognito) authenticate(operation string, in *cognitoInput, f Fault) (map[string]any, *exception) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if in.ClientID != c.clientID() {
		return nil, &exception{Type: "ResourceNotFoundException", Message: "User pool client does not exist."}
	}
	var g *grant
	var e *exception
	switch {
	case operation == "GetTokensFromRefreshToken":
		if c.OnlyInitiateAuth {
			return nil, &exception{Type: "UnknownOperationException"}
		}
		if e := c.checkSecret(in.ClientSecret, c.ClientSecret); e != nil {
			return nil, e
		}
		g, e = c.use(in.RefreshToken, in.DeviceKey)
	case in.AuthFlow == "REFRESH_TOKEN_AUTH" || in.AuthFlow == "REFRESH_TOKEN":
		g, e = c.refreshTokenAuth(in.AuthParameters)
	case in.AuthFlow == "USER_PASSWORD_AUTH":
		name := in.AuthParameters["USERNAME"]
		if e := c.checkSecret(in.AuthParameters["SECRET_HASH"], c.secretHash(name)); e != nil {
			return nil, e
		}
		if name == "" || in.AuthParameters["PASSWORD"] != c.password() {
			return nil, &exception{Type: "NotAuthorizedException", Message: "Incorrect username or password."}
		}
		if c.Challenge != "" {
			return map[string]any{"ChallengeName": c.Challenge, "Session": "session"}, nil
		}
		l := c.newLogin(usernameOf(name), "", "aws.cognito.signin.user.admin")
		g = &grant{l, c.newToken(l)}
	default:
		e = &exception{Type: "InvalidParameterException", Message: "Unsupported AuthFlow"}
	}
	if e != nil {
		return nil, e
	}
	m := c.mint(g, c.subjectOf(g, f))
	result := map[string]any{
		"AccessToken": m.access, "IdToken": m.id, "TokenType": "Bearer", "ExpiresIn": m.seconds,
	}
	if m.refresh != "" {
		result["RefreshToken"] = m.refresh
	}
	return map[string]any{"AuthenticationResult": result, "ChallengeParameters": map[string]any{}}, nil
}

func (c *Cognito) refreshTokenAuth(in map[string]string) (*grant, *exception) {
	if c.Rotation {
		// Cognito's answer is not documented. Of the possible ones, this one is
		// the most difficult for a client.
		return nil, &exception{Type: "NotAuthorizedException", Message: "REFRESH_TOKEN_AUTH is not allowed with rotation"}
	}
	t := c.tokens[in["REFRESH_TOKEN"]]
	if t == nil {
		return nil, &exception{Type: "NotAuthorizedException", Message: "Invalid Refresh Token"}
	}
	if e := c.checkSecret(in["SECRET_HASH"], c.secretHash(t.login.subject)); e != nil {
		return nil, e
	}
	return c.use(in["REFRESH_TOKEN"], in["DEVICE_KEY"])
}

// checkSecret returns an exception if the app client has a secret and got is
// not the proof of it.
func (c *Cognito) checkSecret(got, want string) *exception {
	switch {
	case c.ClientSecret == "" || got == want:
		return nil
	case got == "":
		return &exception{Type: "NotAuthorizedException", Message: "Client " + c.clientID() + " is configured for secret but secret was not received"}
	}
	return &exception{Type: "NotAuthorizedException", Message: "SecretHash does not match for the client: " + c.clientID()}
}

func (c *Cognito) secretHash(username string) string {
	mac := hmac.New(sha256.New, []byte(c.ClientSecret))
	mac.Write([]byte(username + c.clientID()))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// revokeToken ends a login. An unknown token is no error.
func (c *Cognito) revokeToken(in *cognitoInput) *exception {
	c.mu.Lock()
	defer c.mu.Unlock()
	if in.ClientID != c.clientID() || in.ClientSecret != c.ClientSecret {
		return &exception{Type: "UnauthorizedException", Message: "Invalid client or secret"}
	}
	c.end(in.Token)
	return nil
}

// end revokes the login of a refresh token. The caller holds c.mu.
func (c *Cognito) end(refreshToken string) {
	if t := c.tokens[refreshToken]; t != nil && !t.login.over {
		t.login.over = true
		c.stats.Revoked++
	}
}
