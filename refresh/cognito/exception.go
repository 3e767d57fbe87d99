package cognito

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

const (
	notAuthorized = "NotAuthorizedException"
	notFound      = "ResourceNotFoundException"
)

// final are the exceptions that end a login, or that refuse a sign-in. Of
// NotAuthorizedException, some messages do not. Some emulators answer a wrong
// password with InvalidPasswordException.
var final = []string{
	notAuthorized, "RefreshTokenReuseException", "TokenRevokedException", "UserNotFoundException",
	"UserNotConfirmedException", "PasswordResetRequiredException", "InvalidPasswordException",
}

// unsupported are the exceptions of an operation that is not available, to this
// app client or at all.
var unsupported = []string{"UnknownOperationException", "UnsupportedOperationException", "Unsupported"}

// exceptions are the names that can be the Code of a [refresh.ProviderError].
// Other names are not shown, as they could hold a secret.
var exceptions = slices.Concat(final, unsupported, []string{
	"ForbiddenException", "InternalErrorException", "InvalidLambdaResponseException",
	"InvalidParameterException", "InvalidSmsRoleAccessPolicyException",
	"InvalidSmsRoleTrustRelationshipException", "InvalidUserPoolConfigurationException",
	"LimitExceededException", notFound, "TooManyRequestsException",
	"UnauthorizedException", "UnexpectedLambdaException", "UnsupportedTokenTypeException",
	"UserLambdaValidationException",
	// Exceptions of all AWS services.
	"AccessDeniedException", "InternalFailure", "RequestExpired", "SerializationException",
	"ServiceUnavailable", "ServiceUnavailableException", "ThrottlingException", "ValidationException",
})

// challenges are what InitiateAuth may request in place of returning tokens.
var challenges = []string{
	"NEW_PASSWORD_REQUIRED", "MFA_SETUP", "SELECT_MFA_TYPE", "SELECT_CHALLENGE", "SMS_MFA", "SMS_OTP",
	"EMAIL_OTP", "SOFTWARE_TOKEN_MFA", "WEB_AUTHN", "PASSWORD", "PASSWORD_SRP", "PASSWORD_VERIFIER",
	"DEVICE_SRP_AUTH", "DEVICE_PASSWORD_VERIFIER", "CUSTOM_CHALLENGE",
}

// exception returns the error of an operation.
func exception(resp *http.Response, body []byte) *refresh.ProviderError {
	var answer struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &answer) // what cannot be read stays empty
	name := cmp.Or(answer.Type, resp.Header.Get("X-Amzn-Errortype"))
	// Both may be qualified: namespace#Name:http://more
	_, after, ok := strings.Cut(name, "#")
	if ok {
		name = after
	}
	name, _, _ = strings.Cut(name, ":")

	e := &refresh.ProviderError{Status: resp.StatusCode, RetryAfter: endpoint.RetryAfter(resp.Header.Get("Retry-After"))}
	if slices.Contains(exceptions, name) {
		e.Code = name
	}
	e.Denied = e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests &&
		(slices.Contains(final, e.Code) && !(e.Code == notAuthorized && isOfTheClient(answer.Message)) ||
			e.Code == notFound && isOfTheDevice(answer.Message))
	return e
}

// isOfTheClient reports whether the message of a NotAuthorizedException is
// about the app client, like "Unable to verify secret hash for client …".
// Messages about a user or a refresh token hold neither word, and may be empty.
func isOfTheClient(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "client") || strings.Contains(message, "secret")
}

// isOfTheDevice reports whether the message of a ResourceNotFoundException is
// "Device does not exist.", and not about a user pool or an app client. The
// user has then forgotten the device to which the login is bound.
func isOfTheDevice(message string) bool {
	return strings.HasPrefix(strings.ToLower(message), "device ")
}

// isUnsupported reports whether err says that an operation is not available.
func isUnsupported(err error) bool {
	e, ok := errors.AsType[*refresh.ProviderError](err)
	return ok && (e.Status == http.StatusNotImplemented || slices.Contains(unsupported, e.Code))
}

// mayRotate reports whether err can be the answer of InitiateAuth to an app
// client that rotates refresh tokens. Amazon does not document which exception
// that is.
func mayRotate(err error) bool {
	e, ok := errors.AsType[*refresh.ProviderError](err)
	return ok && (e.Code == "InvalidParameterException" || e.Code == notAuthorized) || isUnsupported(err)
}
