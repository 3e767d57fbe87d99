package providers

import (
	"fmt"

	"github.com/tokenlife/tokenlife/middleware/verify"
)

// setUpVerifiers sets what verifies the tokens of a login, of requests, and of
// the provider's logout requests.
func (p Provider) setUpVerifiers(parts *Parts, c Client) error {
	var ids *verify.JWT
	var err error
	if !p.WithoutIDToken {
		issuer := p.idIssuer(c)
		if p.Credential == IDToken {
			issuer.Check = p.Check
		}
		if ids, err = p.newJWT(parts, issuer, c); err != nil {
			return err
		}
		parts.Flow.IDTokens = ids
		issuer.Check = nil
		issuer.Types = []string{"logout+jwt", "JWT", ""}
		logout, err := p.newJWT(parts, issuer, c)
		if err != nil {
			return err
		}
		logout.CacheTokens = -1 // each is good once
		parts.Flow.LogoutTokens = logout
	}
	ask := askFunc(parts.Client.Introspect)
	if p.Credential == UserInfo {
		ask = askUserInfo(p, c, parts.Client)
	}
	if p.ask != nil {
		ask = p.ask(p, c, parts.Client)
	}
	switch p.Credential {
	case AccessToken:
		issuer := p.accessIssuer(c)
		if len(issuer.Audience) == 0 && !issuer.SkipAudienceCheck {
			return p.wrong("Audience is empty: set what the access tokens are for")
		}
		parts.Verifier, err = p.newJWT(parts, issuer, c)
		return err
	case IDToken:
		if ids == nil {
			return p.wrong("Credential is IDToken, and WithoutIDToken is set")
		}
		parts.Verifier = ids
	case Introspection:
		parts.Verifier = &verify.Introspection{
			Ask: ask, Issuer: p.Issuer, Clients: []string{c.ID}, Audience: p.Audience,
			GroupsClaim: p.GroupsClaim, Leeway: p.Leeway, Check: p.checks(c.ID),
		}
	case UserInfo:
		parts.Verifier = &verify.UserInfo{
			Ask: ask, Issuer: p.Issuer, AnyClient: true,
			GroupsClaim: p.GroupsClaim, Check: p.checks(c.ID),
		}
	default:
		return p.wrong("Credential is none of AccessToken, IDToken, Introspection and UserInfo")
	}
	return nil
}

// accessIssuer returns the provider as the issuer of access tokens.
func (p Provider) accessIssuer(c Client) verify.Issuer {
	issuer := verify.Issuer{URL: p.Issuer, Audience: p.Audience}
	switch {
	case len(p.Audience) > 0:
	case p.cognito[0] != "":
		issuer = verify.Cognito(p.cognito[0], p.cognito[1], c.ID)
	case p.forClient:
		issuer.Audience = []string{c.ID}
	}
	if p.accessIss != "" {
		issuer.Aliases = []string{p.accessIss}
	}
	own := issuer.Check
	issuer.Check = p.Check
	if own != nil {
		issuer.Check = both(own, p.Check)
	}
	return p.complete(issuer)
}

// idIssuer returns the provider as the issuer of tokens for the client.
func (p Provider) idIssuer(c Client) verify.Issuer {
	if p.cognito[0] != "" && len(p.Audience) == 0 {
		return p.complete(verify.CognitoID(p.cognito[0], p.cognito[1], c.ID))
	}
	return p.complete(verify.Issuer{URL: p.Issuer, Audience: []string{c.ID}})
}

// complete sets the fields of issuer that are the same for all tokens.
func (p Provider) complete(issuer verify.Issuer) verify.Issuer {
	issuer.Aliases = append(issuer.Aliases, p.Aliases...)
	issuer.Leeway = p.Leeway
	if p.KeysURL != "" {
		issuer.KeysURL = p.KeysURL
	}
	if len(p.Algorithms) > 0 {
		issuer.Algorithms = p.Algorithms
	}
	if p.GroupsClaim != "" {
		issuer.GroupsClaim = p.GroupsClaim
	}
	return issuer
}

func (p Provider) newJWT(parts *Parts, issuer verify.Issuer, c Client) (*verify.JWT, error) {
	j, err := verify.New(issuer)
	if err != nil {
		return nil, fmt.Errorf("providers: %s: %w", p.Name, err)
	}
	j.Client = c.HTTP
	parts.jwts = append(parts.jwts, j)
	return j, nil
}

// checks returns Check and the check of the preset as one.
func (p Provider) checks(clientID string) func(*verify.Token) error {
	if p.check == nil {
		return p.Check
	}
	return both(p.check(clientID), p.Check)
}

// both returns two checks as one. The second may be nil.
func both(first, second func(*verify.Token) error) func(*verify.Token) error {
	return func(t *verify.Token) error {
		if err := first(t); err != nil || second == nil {
			return err
		}
		return second(t)
	}
}
