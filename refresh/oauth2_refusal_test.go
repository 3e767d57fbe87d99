package refresh_test

import (
	"errors"
	"testing"

	"github.com/tokenlife/tokenlife/refresh"
)

// Only the provider's own word ends a login: an OAuth error with a final code.
func TestPromise02OnlyAnOAuthErrorEndsALogin(t *testing.T) {
	const json, text, page, form = "application/json", "text/plain", "text/html", "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name        string
		status      int
		contentType string
		body        string
		final       bool
	}{
		// What real providers say when a login is over.
		{"Auth0: a second factor", 403, json, `{"error":"mfa_required","error_description":"Multifactor authentication required","mfa_token":"x"}`, true},
		{"Auth0: a rule has denied it", 403, json, `{"error":"access_denied","error_description":"You are not allowed."}`, true},
		{"Auth0: an unknown token", 403, json, `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`, true},
		{"GitHub: with 200", 200, json, `{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired.","error_uri":"https://docs.example/"}`, true},
		{"GitHub: in a form", 200, form, `error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.`, true},
		{"Slack", 200, json, `{"ok":false,"error":"invalid_refresh_token"}`, true},
		{"Slack: revoked", 200, json, `{"ok":false,"error":"token_revoked"}`, true},
		{"Entra ID", 400, json, `{"error":"interaction_required","error_description":"AADSTS50076: …","error_codes":[50076],"suberror":"basic_action"}`, true},
		{"a consent that is missing", 400, json, `{"error":"consent_required"}`, true},
		{"invalid_grant with 404", 404, json, `{"error":"invalid_grant"}`, true},
		{"invalid_grant with 422", 422, json, `{"error":"invalid_grant"}`, true},
		{"invalid_grant behind a byte order mark", 400, json, "\ufeff" + `{"error":"invalid_grant"}`, true},
		{"a code of their own with 401", 401, json, `{"error":"refresh_token_revoked"}`, true},
		{"a code of their own with 403", 403, json, `{"error":"UserDisabled"}`, true},
		{"a code of their own with 200", 200, json, `{"error":"session_gone"}`, true},

		{"LinkedIn", 400, json, `{"error":"invalid_request","error_description":"The provided authorization grant or refresh token is invalid, expired or revoked."}`, true},
		{"Dex", 400, json, `{"error":"invalid_request","error_description":"Refresh token is invalid or has already been claimed by another client."}`, true},
		{"a refresh token that is not there", 400, json, `{"error":"invalid_request","error_description":"The refresh_token was not found on this server"}`, true},
		{"a request that is invalid", 400, json, `{"error":"invalid_request","error_description":"Invalid request"}`, true},

		{"Dex", 400, json, `{"error":"invalid_request","error_description":"Refresh token is invalid or has already been claimed by another client."}`, true},
		{"the words of RFC 6749 with the other code", 400, json, `{"error":"invalid_request","error_description":"The authorization grant or refresh token is invalid, expired, revoked, does not match the redirection URI, or was issued to another client."}`, true},
		{"a token whose client is named", 400, json, `{"error":"invalid_request","error_description":"refresh_token has expired for client shop"}`, true},
		{"a token that was revoked by an application", 400, json, `{"error":"invalid_request","error_description":"The refresh token has been revoked by another application"}`, true},

		{"Okta", 400, json, `{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}`, true},
		{"Okta: a policy", 400, json, `{"error":"access_denied","error_description":"Policy evaluation failed for this request, please check the policy configurations."}`, true},
		{"Auth0: a rule that names the application", 401, json, `{"error":"access_denied","error_description":"You may not use this application."}`, true},
		{"Entra ID: expired", 400, json, `{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token has expired due to inactivity.","error_codes":[700082],"suberror":"bad_token"}`, true},
		{"Entra ID: another password", 400, json, `{"error":"invalid_grant","error_description":"AADSTS50173: The provided grant has expired due to it being revoked, a fresh auth token is needed.","error_codes":[50173]}`, true},
		{"Entra ID: a consent", 400, json, `{"error":"invalid_grant","error_description":"AADSTS65001: The user or administrator has not consented to use the application with ID 'x'.","suberror":"consent_required"}`, true},
		{"Google", 400, json, `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`, true},
		{"Google: another sign-in is wanted", 400, json, `{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_subtype":"invalid_rapt"}`, true},
		{"Google: an administrator", 400, json, `{"error":"admin_policy_enforced","error_description":"Access to your account data is restricted by policies within your organization."}`, true},
		{"Keycloak", 400, json, `{"error":"invalid_grant","error_description":"Session not active"}`, true},
		{"Keycloak: used again", 400, json, `{"error":"invalid_grant","error_description":"Maximum allowed refresh token reuse exceeded"}`, true},
		{"Salesforce", 400, json, `{"error":"invalid_grant","error_description":"expired access/refresh token"}`, true},
		{"Salesforce: the user", 400, json, `{"error":"inactive_user","error_description":"user is inactive"}`, true},
		{"Salesforce: the user may not use the app", 400, json, `{"error":"invalid_app_access","error_description":"user is not admin approved to access this app"}`, true},
		{"Slack: the account", 200, json, `{"ok":false,"error":"account_inactive"}`, true},
		{"Discord", 400, json, `{"error":"invalid_grant","error_description":"Invalid \"refresh_token\" in request."}`, true},
		{"Apple", 400, json, `{"error":"invalid_grant"}`, true},

		// What says nothing of the login.
		{"a mesh", 401, text, `Jwt is missing`, false},
		{"a mesh: forbidden", 403, text, `RBAC: access denied`, false},
		{"a page", 401, page, `<h1>401 Authorization Required</h1>`, false},
		{"nothing", 401, "", ``, false},
		{"a gateway", 401, json, `{"message":"Unauthorized"}`, false},
		{"a gateway with a fault", 401, json, `{"fault":{"faultstring":"Invalid access token"}}`, false},
		{"a framework's error", 401, json, `{"timestamp":"2026-01-01T00:00:00Z","status":401,"error":"Unauthorized","path":"/token"}`, false},
		{"a framework's error: bad request", 400, json, `{"status":400,"error":"Bad Request"}`, false},
		{"a framework's error: forbidden", 403, json, `{"error":"forbidden"}`, false},
		{"a framework's error: not found", 400, json, `{"error":"not_found"}`, false},
		{"a sentence", 401, json, `{"error":"Authorization field missing"}`, false},
		{"an error that is a number", 400, json, `{"error":400}`, false},
		{"an error that is null", 400, json, `{"error":null}`, false},
		{"an error that is empty", 400, json, `{"error":""}`, false},
		{"an error in a list", 400, json, `[{"error":"invalid_grant"}]`, false},
		{"an error below another member", 400, json, `{"response":{"error":"invalid_grant"}}`, false},
		{"an error in another case", 400, json, `{"Error":"invalid_grant"}`, false},
		{"half of an error", 400, json, `{"error":"invalid_grant"`, false},
		{"a page that looks like a form", 400, page, `error=invalid_grant`, false},
		{"text that looks like a form", 400, text, `error=invalid_grant`, false},
		{"a code of their own with 404", 404, json, `{"error":"no_such_tenant"}`, false},
		{"a code of their own with 405", 405, json, `{"error":"post_only"}`, false},
		{"a code of their own with 500", 500, json, `{"error":"token_gone"}`, false},
		{"a redirect", 302, json, `{"error":"token_gone"}`, false},

		// What is about the client or the provider.
		{"Auth0: a wrong secret", 401, json, `{"error":"access_denied","error_description":"Unauthorized"}`, false},
		{"Auth0: too often", 429, json, `{"error":"access_denied","error_description":"Too many requests"}`, false},
		{"Okta: a wrong secret", 401, json, `{"errorCode":"invalid_client","errorSummary":"Invalid value for 'client_id' parameter."}`, false},
		{"Okta: too often", 429, json, `{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests."}`, false},
		{"Entra ID: a wrong secret", 401, json, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`, false},
		{"Entra ID: no such application", 400, json, `{"error":"unauthorized_client","error_description":"AADSTS700016: Application with identifier 'x' was not found in the directory 'y'."}`, false},
		{"no refresh token in the request", 400, json, `{"error":"invalid_request","error_description":"client_id or refresh_token parameter is missing"}`, false},
		{"Entra ID: no such tenant", 400, json, `{"error":"invalid_request","error_description":"AADSTS90002: Tenant 'x' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."}`, false},
		{"Entra ID: no tenant", 400, json, `{"error":"invalid_request","error_description":"AADSTS50059: No tenant-identifying information found in either the request or implied by any provided credentials."}`, false},
		{"Entra ID: the kind of the client", 400, json, `{"error":"invalid_request","error_description":"AADSTS9002327: Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests."}`, false},
		{"Entra ID: not now", 503, json, `{"error":"temporarily_unavailable","error_description":"AADSTS90033: A transient error has occurred. Please try again."}`, false},
		{"Google: a client that is gone", 401, json, `{"error":"deleted_client","error_description":"The OAuth client was deleted."}`, false},
		{"Google: a client that is off", 401, json, `{"error":"disabled_client","error_description":"The OAuth client was disabled."}`, false},
		{"Google: broken", 400, json, `{"error":"internal_failure","error_description":"Backend Error"}`, false},
		{"Keycloak: a proxy without TLS", 403, json, `{"error":"invalid_request","error_description":"HTTPS required"}`, false},
		{"Keycloak: the realm is off", 403, json, `{"error":"access_denied","error_description":"Realm not enabled"}`, false},
		{"Keycloak: no such realm", 404, json, `{"error":"Realm does not exist"}`, false},
		{"Keycloak: a parameter twice", 400, json, `{"error":"invalid_request","error_description":"duplicated parameter"}`, false},
		{"Keycloak: a wrong secret", 401, json, `{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}`, false},
		{"Salesforce: a wrong secret", 400, json, `{"error":"invalid_client_id","error_description":"client identifier invalid"}`, false},
		{"Salesforce: a locked organization", 400, json, `{"error":"inactive_org","error_description":"organization is locked, closed, or suspended"}`, false},
		{"Salesforce: again", 400, json, `{"error":"unknown_error","error_description":"retry your request"}`, false},
		{"Slack: an endpoint that goes away", 200, json, `{"ok":false,"error":"deprecated_endpoint"}`, false},
		{"Slack: the form", 200, json, `{"ok":false,"error":"invalid_form_data"}`, false},
		{"Slack: the arguments", 200, json, `{"ok":false,"error":"invalid_arguments"}`, false},
		{"Slack: the name of an argument", 200, json, `{"ok":false,"error":"invalid_arg_name"}`, false},
		{"Slack: the characters", 200, json, `{"ok":false,"error":"invalid_charset"}`, false},
		{"LinkedIn: a parameter", 400, json, `{"error":"invalid_request","error_description":"A required parameter \"client_id\" is missing"}`, false},
		{"Discord: a wrong secret", 401, json, `{"error":"invalid_client"}`, false},
		{"Discord: too often", 429, json, `{"message":"You are being rate limited.","retry_after":1.5,"global":false}`, false},
		{"Apple: a wrong secret", 400, json, `{"error":"invalid_client"}`, false},
		{"GitHub: a wrong secret", 200, json, `{"error":"incorrect_client_credentials"}`, false},
		{"GitHub: a wrong redirect", 200, json, `{"error":"redirect_uri_mismatch"}`, false},
		{"Slack: a wrong secret", 200, json, `{"ok":false,"error":"bad_client_secret"}`, false},
		{"Slack: too often", 200, json, `{"ok":false,"error":"ratelimited"}`, false},
		{"Slack: broken", 200, json, `{"ok":false,"error":"internal_error"}`, false},
		{"a target", 400, json, `{"error":"invalid_target"}`, false},
		{"a proof", 400, json, `{"error":"use_dpop_nonce"}`, false},
		{"invalid_client with 403", 403, json, `{"error":"invalid_client"}`, false},
		{"a code about a client", 401, json, `{"error":"client_disabled"}`, false},
		{"a code about a client in camel case", 401, json, `{"error":"InvalidClientMetadata"}`, false},
		{"a code about the rate", 403, json, `{"error":"rate_limit_exceeded"}`, false},
		{"too many", 400, json, `{"error":"too_many_requests"}`, false},
		{"a request without its client", 400, json, `{"error":"invalid_request","error_description":"client_id and client_secret in the authorization header are not properly encoded"}`, false},
		{"a request with a bad resource", 400, json, `{"error":"invalid_request","error_description":"The resource is not known."}`, false},
		{"a grant that the client may not use", 400, json, `{"error":"invalid_request","error_description":"refresh_token grant type is invalid for this client"}`, false},
		{"a client that gets no refresh tokens", 400, json, `{"error":"invalid_request","error_description":"Refresh token is not enabled for the client."}`, false},
		{"a client, at a refresh", 400, json, `{"error":"invalid_request","error_description":"The client of the refresh token is invalid."}`, false},
		{"a client's expired secret", 400, json, `{"error":"invalid_request","error_description":"Refresh token: client secret has expired"}`, false},
		{"a header beside the token", 400, json, `{"error":"invalid_request","error_description":"refresh token used with an invalid Authorization header"}`, false},
		{"a time-out", 400, json, `{"error":"upstream_timeout"}`, false},
		{"busy", 400, json, `{"error":"server-busy"}`, false},
		{"a scope", 400, json, `{"error":"scope_not_granted_to_app"}`, false},
		{"nobody knows", 400, json, `{"error":"unknown_error"}`, false},
		{"an error", 403, json, `{"error":"error"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, call := range []string{"refresh", "exchange"} {
				client := answering(c.status, c.contentType, c.body)
				var tok refresh.Tokens
				var err error
				if call == "refresh" {
					tok, err = client.Refresh(t.Context(), refresh.Tokens{Access: "a1", Refresh: "r1"})
				} else {
					tok, err = client.Exchange(t.Context(), "code", "", "")
				}
				if err == nil || tok != (refresh.Tokens{}) {
					t.Fatalf("%s: %v, %v, want no tokens and an error", call, tok, err)
				}
				if denied := errors.Is(err, refresh.ErrDenied); denied != c.final {
					t.Errorf("%s: the login is over: %t, want %t: %v", call, denied, c.final, err)
				}
			}
		})
	}
}

// A refresh token may have been used up by an answer: what can be used of it is
// used.
func TestOAuth2UsesWhatCanBeUsed(t *testing.T) {
	const json, text, form = "application/json", "text/plain", "application/x-www-form-urlencoded"
	for _, c := range []struct{ name, contentType, body string }{
		{"BearerToken", json, `{"access_token":"new","refresh_token":"r2","token_type":"BearerToken"}`},
		{"bearer", json, `{"access_token":"new","refresh_token":"r2","token_type":"bearer"}`},
		{"a blank behind it", json, `{"access_token":"new","refresh_token":"r2","token_type":"Bearer "}`},
		{"bearer_token", json, `{"access_token":"new","refresh_token":"r2","token_type":"bearer_token"}`},
		{"Slack's user", json, `{"ok":true,"access_token":"new","refresh_token":"r2","token_type":"user"}`},
		{"a type that is empty", json, `{"access_token":"new","refresh_token":"r2","token_type":""}`},
		{"a type that is no string", json, `{"access_token":"new","refresh_token":"r2","token_type":1}`},
		{"an error of false", json, `{"access_token":"new","refresh_token":"r2","error":false}`},
		{"an error of null", json, `{"access_token":"new","refresh_token":"r2","error":null}`},
		{"an empty error", json, `{"access_token":"new","refresh_token":"r2","error":"","error_description":""}`},
		{"an error of 0", json, `{"access_token":"new","refresh_token":"r2","error":0}`},
		{"an error in an object", json, `{"access_token":"new","refresh_token":"r2","error":{}}`},
		{"an error that nobody knows", json, `{"access_token":"new","refresh_token":"r2","error":"none"}`},
		{"a byte order mark", json, "\ufeff" + `{"access_token":"new","refresh_token":"r2"}`},
		{"space around it", json, "\r\n\t " + `{"access_token":"new","refresh_token":"r2"}` + "\n\n"},
		{"no content type", "", `{"access_token":"new","refresh_token":"r2"}`},
		{"JSON called a form", form, `{"access_token":"new","refresh_token":"r2"}`},
		{"JSON called a script", "application/javascript", `{"access_token":"new","refresh_token":"r2"}`},
		{"a form", form, "access_token=new&refresh_token=r2&token_type=bearer"},
		{"a form called text", text, "access_token=new&refresh_token=r2&expires_in=28800&scope=&token_type=bearer\n"},
		{"a form of no type", "", "access_token=new&refresh_token=r2"},
		{"lists and objects where strings belong", json, `{"access_token":"new","refresh_token":"r2","scope":["a"],"id_token":{"a":1},"expires_in":[],"refresh_expires_in":{}}`},
		{"an ID token that is empty", json, `{"access_token":"new","refresh_token":"r2","id_token":""}`},
		{"a lifetime in words", json, `{"access_token":"new","refresh_token":"r2","expires_in":"one hour"}`},
		{"a lifetime of a hundred years", json, `{"access_token":"new","refresh_token":"r2","expires_in":3155760000}`},
		{"a lifetime beyond all numbers", json, `{"access_token":"new","expires_in":1e999,"refresh_token":"r2"}`},
		{"a lifetime below zero", json, `{"access_token":"new","expires_in":-1e308,"refresh_token":"r2"}`},
		{"a member twice", json, `{"access_token":"old","access_token":"new","refresh_token":"r2"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := answering(200, c.contentType, c.body).Refresh(t.Context(), refresh.Tokens{Access: "a1", Refresh: "r1", ID: "i1"})
			if err != nil || got.Access != "new" || got.Refresh != "r2" || got.ID != "i1" {
				t.Errorf("Refresh = %q %q %q, %v, want the new tokens", got.Access, got.Refresh, got.ID, err)
			}
		})
	}
	if got, err := answering(201, json, `{"access_token":"new","refresh_token":"r2"}`).Refresh(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil || got.Refresh != "r2" {
		t.Errorf("with 201: %v, %v", got, err)
	}
}
