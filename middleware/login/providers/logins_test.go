package providers_test

import (
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login/providers"
)

// A login is a preset and the provider that it is for.
type login struct {
	name   string
	preset func() providers.Provider
	habits

	subject, issuer string     // as the program sees them; default: the user's, at the provider
	unrefreshable   bool       // the provider gives no refresh token
	endless         bool       // its access tokens do not expire
	ends            string     // where a sign-out leads
	params          url.Values // and with which parameters
	hint            bool       // and whether with an ID token
	inURL           bool       // which is in the URL, and not in a form
}

// jwtFor makes the access token a JWT for an audience.
func jwtFor(audience any, change ...func(s *session, claims map[string]any)) func(*fake, *session, map[string]any) {
	return func(f *fake, s *session, a map[string]any) {
		claims := s.claims(audience)
		claims["jti"] = s.access
		for _, c := range change {
			c(s, claims)
		}
		a["access_token"] = f.jwt(claims)
	}
}

func back(more ...string) url.Values {
	v := url.Values{"client_id": {clientID}, "post_logout_redirect_uri": {origin + "/"}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func userJSON(name string) string {
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

var logins = []login{
	{
		name:   "google",
		preset: providers.Google,
		habits: habits{
			folder: "google", auth: "basic", userID: "110169484474386276334",
			authorize: map[string]string{"access_type": "offline", "prompt": "consent", "scope": "openid email profile"},
			id: func(s *session, claims map[string]any) {
				claims["azp"], claims["email"], claims["email_verified"] = clientID, "ann@shop.example", true
				if s.again { // as in some of its answers
					claims["iss"] = "accounts.google.com"
				}
			},
			answer: func(_ *fake, s *session, a map[string]any) {
				a["expires_in"] = 3599
				if !s.again {
					a["refresh_token_expires_in"] = 604799
				}
			},
		},
		ends: "/",
	},
	{
		name:   "apple",
		preset: func() providers.Provider { return providers.Apple(appleTeam) },
		habits: habits{
			folder: "apple", auth: "apple", userID: "001234.0a1b2c3d4e5f60718293a4b5c6d7e8f9.0123",
			authorize: map[string]string{"response_mode": "form_post", "scope": "openid email name"},
			id: func(_ *session, claims map[string]any) {
				claims["nonce_supported"], claims["email"], claims["email_verified"] = true, "q1w2e3@privaterelay.appleid.com", "true"
			},
			answer: func(_ *fake, _ *session, a map[string]any) { delete(a, "scope") },
		},
		ends: "/",
	},
	{
		name:   "github",
		preset: providers.GitHub,
		habits: habits{
			folder: "github", auth: "post", userID: "583231", rotates: true, life: 8 * time.Hour,
			authorize: map[string]string{"scope": "read:user", "nonce": ""},
			endpoints: map[string]string{
				"issuer":                 "https://github.com/login/oauth",
				"authorization_endpoint": "https://github.com/login/oauth/authorize",
				"token_endpoint":         "https://github.com/login/oauth/access_token",
				"userinfo_endpoint":      "https://api.github.com/user",
			},
			answer: func(_ *fake, _ *session, a map[string]any) {
				a["token_type"], a["scope"], a["refresh_token_expires_in"] = "bearer", "", 15811200
				a["id_token"] = nil
			},
			refused: http.StatusOK,
			refusal: `{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired.","error_uri":"https://docs.github.com"}`,
			user:    userJSON("github/user.json"),
		},
		ends: "/",
	},
	{
		name:   "gitlab",
		preset: providers.GitLab,
		habits: habits{
			folder: "gitlab", auth: "basic", rotates: true, life: 2 * time.Hour,
			id: func(s *session, claims map[string]any) {
				claims["exp"] = s.issued.Add(2 * time.Minute).Unix()
				claims["sub_legacy"] = "3d0e8fd0d3aa2a1c2e5ff2a1d5c9e7b1"
			},
			answer: func(_ *fake, s *session, a map[string]any) { a["created_at"] = s.issued.Unix() },
			user:   `{"sub":"1042","sub_legacy":"3d0e8fd0d3aa2a1c2e5ff2a1d5c9e7b1","name":"Ann","nickname":"ann","preferred_username":"ann","email":"ann@shop.example","email_verified":true,"profile":"https://gitlab.com/ann","groups":["shop","shop/api"]}`,
		},
		ends: "/",
	},
	{
		name:   "linkedin",
		preset: providers.LinkedIn,
		habits: habits{
			folder: "linkedin", auth: "post", userID: "782bbtaQ-9", life: 60 * 24 * time.Hour,
			authorize: map[string]string{"code_challenge": "", "code_challenge_method": "", "nonce": ""},
			token:     map[string]string{"code_verifier": ""},
			id: func(s *session, claims map[string]any) {
				delete(claims, "nonce")
				delete(claims, "at_hash")
				claims["exp"] = s.issued.Add(time.Hour).Unix()
				claims["email"], claims["email_verified"] = "ann@shop.example", "true"
			},
			answer: func(_ *fake, _ *session, a map[string]any) {
				delete(a, "refresh_token")
				a["scope"] = "email,openid,profile"
			},
			user: `{"sub":"782bbtaQ-9","name":"Ann Shop","given_name":"Ann","family_name":"Shop","locale":{"country":"US","language":"en"},"email":"ann@shop.example","email_verified":true}`,
		},
		unrefreshable: true,
		ends:          "/",
	},
	{
		name:   "discord",
		preset: providers.Discord,
		habits: habits{
			folder: "discord", auth: "basic", userID: "80351110224678912", rotates: true, life: 7 * 24 * time.Hour,
			authorize: map[string]string{"scope": "identify", "nonce": ""},
			endpoints: map[string]string{
				"issuer":                 "https://discord.com",
				"authorization_endpoint": "https://discord.com/oauth2/authorize",
				"token_endpoint":         "https://discord.com/api/oauth2/token",
				"revocation_endpoint":    "https://discord.com/api/oauth2/token/revoke",
				"userinfo_endpoint":      "https://discord.com/api/users/@me",
			},
			answer: func(_ *fake, _ *session, a map[string]any) { a["id_token"] = nil },
			user:   `{"id":"80351110224678912","username":"ann","avatar":"8342729096ea3675442027381ff50dfe","discriminator":"0","public_flags":0,"flags":0,"banner":null,"accent_color":null,"global_name":"Ann","mfa_enabled":true,"locale":"en-US","premium_type":0}`,
		},
		ends: "/",
	},
	{
		name:   "slack",
		preset: providers.Slack,
		habits: habits{
			folder: "slack", auth: "post", userID: "U0R7JM",
			id: func(s *session, claims map[string]any) {
				claims["exp"] = s.issued.Add(5 * time.Minute).Unix()
				claims["https://slack.com/team_id"], claims["https://slack.com/user_id"] = "T0R7GR", "U0R7JM"
			},
			answer: func(_ *fake, s *session, a map[string]any) {
				delete(a, "refresh_token")
				delete(a, "expires_in")
				delete(a, "scope")
				a["ok"], s.life = true, 0
			},
			user: `{"ok":true,"sub":"U0R7JM","https://slack.com/user_id":"U0R7JM","https://slack.com/team_id":"T0R7GR","email":"ann@shop.example","email_verified":true,"name":"Ann","locale":"en-US"}`,
		},
		endless: true,
		ends:    "/",
	},
	{
		name:   "slack with token rotation",
		preset: providers.Slack,
		habits: habits{
			folder: "slack", auth: "post", userID: "U0R7JM", rotates: true, life: 12 * time.Hour,
			id:      func(s *session, claims map[string]any) { claims["exp"] = s.issued.Add(5 * time.Minute).Unix() },
			answer:  func(_ *fake, _ *session, a map[string]any) { a["ok"] = true },
			refused: http.StatusOK, refusal: `{"ok":false,"error":"invalid_refresh_token"}`,
			user: `{"ok":true,"sub":"U0R7JM","https://slack.com/user_id":"U0R7JM","https://slack.com/team_id":"T0R7GR"}`,
		},
		ends: "/",
	},
	{
		name:   "salesforce",
		preset: func() providers.Provider { return providers.Salesforce("https://shop.my.salesforce.com") },
		habits: habits{
			folder: "salesforce", auth: "post", life: 2 * time.Hour,
			userID: "https://login.salesforce.com/id/00Dx0000000BV7zEAG/005x00000012Q9PAAU",
			id:     func(s *session, claims map[string]any) { claims["exp"] = s.issued.Add(2 * time.Minute).Unix() },
			answer: func(_ *fake, s *session, a map[string]any) {
				delete(a, "expires_in")
				a["signature"], a["issued_at"] = "c2lnbmF0dXJl", "1700000000000"
				a["instance_url"], a["id"] = "https://shop.my.salesforce.com", s.sub
			},
		},
		ends: "https://shop.my.salesforce.com/services/auth/idp/oidc/logout", params: back(),
	},
	{
		name: "okta",
		preset: func() providers.Provider {
			return providers.Okta("https://shop.okta.com/oauth2/default", "api://default")
		},
		habits: habits{
			folder: "okta", auth: "basic", userID: "00u1abcd2EFGHIJKL3x7", rotates: true,
			authorize: map[string]string{"prompt": ""},
			answer: jwtFor("api://default", func(_ *session, c map[string]any) {
				c["sub"], c["uid"], c["cid"], c["scp"], c["ver"] = "ann@shop.example", "00u1abcd2EFGHIJKL3x7", clientID, []string{"openid", "offline_access"}, 1
			}),
		},
		subject: "ann@shop.example",
		ends:    "https://shop.okta.com/oauth2/default/v1/logout", params: back(), hint: true,
	},
	{
		name:   "auth0",
		preset: func() providers.Provider { return providers.Auth0("shop.eu.auth0.com", "https://api.shop.example") },
		habits: habits{
			folder: "auth0", auth: "basic", userID: "auth0|63f5e1", rotates: true, life: 24 * time.Hour,
			authorize: map[string]string{"prompt": "", "audience": "https://api.shop.example"},
			answer: jwtFor([]string{"https://api.shop.example", "https://shop.eu.auth0.com/userinfo"}, func(_ *session, c map[string]any) {
				c["azp"], c["scope"] = clientID, "openid profile email offline_access"
			}),
			refused: http.StatusForbidden,
			refusal: `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`,
		},
		ends: "https://shop.eu.auth0.com/v2/logout", params: url.Values{"client_id": {clientID}, "returnTo": {origin + "/"}},
	},
	{
		name:   "entra",
		preset: func() providers.Provider { return providers.Entra("7c9e6679-7425-40de-944b-e07fc1f90ae7") },
		habits: habits{
			folder: "entra", auth: "basic", userID: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", rotates: true,
			authorize: map[string]string{"prompt": ""},
			id: func(s *session, claims map[string]any) {
				claims["ver"], claims["tid"], claims["oid"] = "2.0", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "690222be-ff1a-4d56-abd1-7e4f7d38e474"
				claims["iat"], claims["nbf"] = s.issued.Add(-5*time.Minute).Unix(), s.issued.Add(-5*time.Minute).Unix()
			},
			// For Microsoft Graph: of version 1, and signed so that only Graph
			// can verify it.
			answer: jwtFor("00000003-0000-0000-c000-000000000000", func(_ *session, c map[string]any) {
				c["iss"], c["sub"], c["ver"] = "https://sts.windows.net/7c9e6679-7425-40de-944b-e07fc1f90ae7/", "gRAPHpairwise", "1.0"
			}),
			refusal: `{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token has expired due to inactivity.","error_codes":[700082],"timestamp":"2026-01-01 00:00:00Z","trace_id":"0","correlation_id":"0"}`,
			refused: http.StatusBadRequest,
		},
		ends: "https://login.microsoftonline.com/7c9e6679-7425-40de-944b-e07fc1f90ae7/oauth2/v2.0/logout", params: back(),
	},
	{
		name:   "adfs",
		preset: func() providers.Provider { return providers.ADFS("fs.shop.example") },
		habits: habits{
			folder: "adfs", auth: "post", userID: "cG8hvJ0Kz3kqU1yXc1W9wS7m1xTgJmF8Yw==",
			id: func(_ *session, claims map[string]any) {
				claims["upn"], claims["unique_name"] = "ann@shop.example", `SHOP\ann`
			},
			answer: jwtFor("microsoft:identityserver:"+clientID, func(_ *session, c map[string]any) {
				c["iss"], c["appid"] = "http://fs.shop.example/adfs/services/trust", clientID
				delete(c, "sub")
			}),
		},
		ends: "https://fs.shop.example/adfs/oauth2/logout", params: back(), hint: true, inURL: true,
	},
	{
		name: "keycloak",
		preset: func() providers.Provider {
			return providers.Keycloak("https://id.shop.example/realms/shop", "https://api.shop.example")
		},
		habits: habits{
			folder: "keycloak", auth: "basic", userID: "f:6a5b:ann", rotates: true, life: 5 * time.Minute,
			id: func(_ *session, claims map[string]any) { claims["sid"], claims["typ"] = "9d1c", "ID" },
			answer: func(f *fake, s *session, a map[string]any) {
				jwtFor([]string{"https://api.shop.example", "account"}, func(_ *session, c map[string]any) {
					c["azp"], c["sid"], c["typ"], c["scope"] = clientID, "9d1c", "Bearer", "openid profile email"
				})(f, s, a)
				a["refresh_expires_in"], a["not-before-policy"], a["session_state"] = 1800, 0, "9d1c"
			},
			refusal: `{"error":"invalid_grant","error_description":"Session not active"}`, refused: http.StatusBadRequest,
		},
		ends: "https://id.shop.example/realms/shop/protocol/openid-connect/logout", params: back(), hint: true,
	},
	{
		name:   "cognito",
		preset: func() providers.Provider { return providers.Cognito("eu-west-1", "eu-west-1_Sh0pPo0l1") },
		habits: habits{
			folder: "cognito", auth: "basic", userID: "a1b2c3d4-5678-90ab-cdef-1234567890ab",
			id: func(_ *session, claims map[string]any) {
				claims["token_use"], claims["cognito:username"] = "id", "ann"
			},
			answer: jwtFor("", func(_ *session, c map[string]any) {
				delete(c, "aud")
				c["token_use"], c["client_id"], c["username"] = "access", clientID, "ann"
			}),
		},
		ends:   "https://shop.auth.eu-west-1.amazoncognito.com/logout",
		params: back("logout_uri", origin+"/"),
	},
	{
		name:   "zitadel",
		preset: func() providers.Provider { return providers.Zitadel("https://shop.eu1.zitadel.cloud") },
		habits: habits{
			folder: "zitadel", auth: "basic", userID: "231234567890123456", rotates: true, life: 12 * time.Hour,
			authorize: map[string]string{"prompt": ""},
		},
		ends: "https://shop.eu1.zitadel.cloud/oidc/v1/end_session", params: back(), hint: true,
	},
	{
		name:   "hydra",
		preset: func() providers.Provider { return providers.Hydra("https://hydra.shop.example") },
		habits: habits{
			folder: "hydra", auth: "basic", rotates: true,
			authorize: map[string]string{"prompt": ""},
			answer:    func(_ *fake, _ *session, a map[string]any) { a["token_type"] = "bearer" },
			refused:   http.StatusBadRequest, refusal: `{"error":"token_inactive","error_description":"Token is inactive because it is malformed, expired or otherwise invalid. Token validation failed."}`,
		},
		ends: "https://hydra.shop.example/oauth2/sessions/logout", params: back(), hint: true,
	},
	{
		name:   "dex",
		preset: func() providers.Provider { return providers.Dex("https://dex.shop.example") },
		habits: habits{
			folder: "dex", auth: "basic", userID: "CgVhbm4tMRIFbG9jYWw", rotates: true, life: 24 * time.Hour,
			authorize: map[string]string{"prompt": ""},
			answer:    jwtFor(clientID),
		},
		ends: "/",
	},
	{
		name: "logto",
		preset: func() providers.Provider {
			return providers.Logto("https://shop.logto.app/oidc", "https://api.shop.example")
		},
		habits: habits{
			folder: "logto", auth: "basic", userID: "foo4q8v5ts2n", rotates: true,
			authorize: map[string]string{"prompt": "consent", "resource": "https://api.shop.example"},
			token:     map[string]string{"resource": "https://api.shop.example"},
			refresh:   map[string]string{"resource": "https://api.shop.example"},
			answer: jwtFor("https://api.shop.example", func(_ *session, c map[string]any) {
				c["client_id"], c["scope"] = clientID, ""
			}),
		},
		ends: "https://shop.logto.app/oidc/session/end", params: back(), hint: true, inURL: true,
	},
}
