package event

import (
	"errors"
	"log/slog"
	"strings"
	"time"
)

// A Kind says what an [Event] is about. Beside each stands which fields are set
// besides Kind and Level; Err and a name are set where there is one.
type Kind string

// What happens to a request or to the login in its cookies, told by
// middleware.Auth.
const (
	Verified      Kind = "verified"       // it goes on with a good token: Bearer, Issuer, Subject
	Refused       Kind = "refused"        // it was refused: Reason, Err (a *middleware.Refusal)
	Refreshed     Kind = "refreshed"      // it got new tokens: Cause, Took, Remembered, Issuer, Subject
	RefreshFailed Kind = "refresh_failed" // it got none, for now, and the login goes on: Cause, Took, Err, Issuer, Subject, Unverified
	Ended         Kind = "ended"          // its login was found to be over: Cause, Took, Err, Issuer, Subject, Unverified
	OtherSubject  Kind = "other_subject"  // a refresh brought another's tokens, which were refused: as Ended
	Replayed      Kind = "replayed"       // its handler answered 401, and is run again with a new token: Issuer, Subject
	CookiesFailed Kind = "cookies_failed" // new tokens could not be put into cookies: Err
	SignedIn      Kind = "signed_in"      // a login began: Issuer, Subject; Err: what it lacks, such as a refresh token
	SignedOut     Kind = "signed_out"     // a user ended it: Issuer, Subject, Unverified; Err: the provider or a store was not told, or the provider revokes nothing

	// RevocationsFailed: the store of the Revocations did not answer: Err. A token
	// counts as good while nothing is known against it.
	RevocationsFailed Kind = "revocations_failed"
)

// What happens at a provider's sign-in page, told by login.Flow through the
// hook of its Auth.
const (
	SignInFailed      Kind = "sign_in_failed"      // Reason, Err (a *login.Failure)
	BackChannelLogout Kind = "back_channel_logout" // the provider asked for a logout: Issuer, Subject; Err: nothing was ended
)

// Misconfigured says that a setting was found that does not fit the provider, and
// that users will come to notice: Err says what to set. Told once, at Warn, by
// who finds it.
const Misconfigured Kind = "misconfigured"

// What is done for all callers with one refresh token together, told by
// refresh.Coordinator.
const (
	ProviderCalled Kind = "provider_called" // an exchange of the token has ended: Outcome, Waiters, Took; Err: no new tokens
	StoreDegraded  Kind = "store_degraded"  // the Store failed, once more, and this replica goes on by itself: Err
)

// The end of a login that is kept on the server, where its user did not end it.
// Told by sessions.Sessions and local.Issuer with Issuer, Subject, Login,
// Device.
const (
	HandleReused   Kind = "handle_reused"   // a handle came that had been replaced: somebody else may have it
	LoginDenied    Kind = "login_denied"    // the provider has ended the login
	LoginDisplaced Kind = "login_displaced" // the subject has more logins than are kept, and this was the oldest
)

// KeysFetched says that an issuer's key set was fetched, or found unchanged, or
// could not be fetched: Issuer, Keys, LeftOut, Took; with Err the keys known
// before, if any, go on. Told by verify.JWT.
const KeysFetched Kind = "keys_fetched"

// TokenAsked says that a provider was asked about an access token, for all
// requests with that token: Issuer, Took; Err: it could not be asked. Told by
// verify.Introspection and verify.UserInfo.
const TokenAsked Kind = "token_asked"

// An Outcome says what an exchange of a refresh token has come to.
type Outcome string

// The outcomes of an exchange.
const (
	OutcomeExchanged Outcome = "exchanged" // the provider gave new tokens
	OutcomeShared    Outcome = "shared"    // it was not asked: another replica had the new tokens
	OutcomeDenied    Outcome = "denied"    // the provider has ended the login
	OutcomeEnded     Outcome = "ended"     // the user has signed out, or in anew, meanwhile
	OutcomeNoAnswer  Outcome = "no_answer" // nobody knows what the provider did: refresh.ErrNoAnswer
	OutcomeFailed    Outcome = "failed"    // it did nothing, and may be asked again
)

// An Event is something that happened to a request, to a login, or for many
// requests together. It holds no token, code or cookie value. Its [Kind] says
// which fields are set.
//
// A request can bring several: one that comes with an expired token is
// Refreshed and then Verified.
type Event struct {
	Kind Kind

	// Level says how much the event matters to whoever runs a service: Debug for
	// what happens at every request and where the client has not waited, Info for
	// what happens to logins, Warn where a provider or a store was out of reach or
	// a sign-in failed, Error for what should not be.
	Level slog.Level

	// Reason is why a request was refused, in a word: "no_token", "malformed",
	// "invalid", "expired", "revoked", "login_over", "other_subject",
	// "cross_origin", "scope", "group", "authentication" for a user who has to be
	// authenticated in another way, "canceled" for a client that has not waited, or "unavailable" for a provider, its keys or a store that could not
	// be reached. Of a sign-in that failed it is the provider's error code, if
	// that is a registered one.
	Reason string

	// Cause is why a login was refreshed: "expired" (its access token had), "due"
	// (it was about to), "absent" or "invalid" (there was no token to be used),
	// "marker" (its time had passed), "answer" (the handler answered 401) or
	// "asked" (by a script, at the refresh endpoint).
	Cause string

	// Outcome is what the exchange of a refresh token has come to.
	Outcome Outcome

	// Waiters is how many requests of this process waited for that exchange: 0
	// where the Coordinator asked again by itself.
	Waiters int

	// Keys is how many keys of a key set can be used.
	Keys int

	// LeftOut has the entries of a key set that are not used, and why: eight at
	// most, each in one line of printable text, such as
	//	entry 2, kid "b": alg "ES224" is not supported
	// The Level is Warn where one of them looks like a key for signatures and the
	// list is not that of the fetch before.
	LeftOut []string

	// Took is how long that took which the event is about: a refresh for its
	// request, which a handler may have run beside; an exchange, from the first
	// request that waited for it; a fetch of keys, discovery included; or a call
	// about an access token.
	Took time.Duration

	Remembered bool // the new tokens had been fetched before, for another request
	Bearer     bool // the Authorization header decided, and not a cookie

	// Err is why, for the kinds that have a why.
	Err error

	// Issuer and Subject say whose login or whose keys it is about. Either may be
	// empty where that is not known.
	Issuer, Subject string

	// Unverified says that Issuer and Subject are only what a token claimed whose
	// signature was not checked: it had expired, and anybody can have written it.
	// Such an event is no ground to act against that subject.
	Unverified bool

	// Login is the ID of a login that is kept on the server, and Device how its
	// user may know the device again, such as a User-Agent.
	Login, Device string
}

// A fromProvider is an error with the words of a provider, such as a
// refresh.ProviderError. The text of the error does not have them, as it may be
// shown to users.
type fromProvider interface {
	error
	ProviderSays() string
}

// LogValue returns what is set of e but its Kind, which makes the message, its
// Level, and its Device: reason, cause, outcome, waiters, keys, left_out,
// took_ms, remembered, bearer, error, description, issuer, subject, unverified,
// login. The description is what a provider has said of its error in its own
// words.
func (e Event) LogValue() slog.Value {
	var attrs []slog.Attr
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	flag := func(key string, value bool) {
		if value {
			attrs = append(attrs, slog.Bool(key, true))
		}
	}
	text("reason", e.Reason)
	text("cause", e.Cause)
	if e.Outcome != "" { // a number of it may be 0
		attrs = append(attrs, slog.String("outcome", string(e.Outcome)), slog.Int("waiters", e.Waiters))
	}
	if e.Kind == KeysFetched {
		attrs = append(attrs, slog.Int("keys", e.Keys))
		text("left_out", strings.Join(e.LeftOut, "; "))
	}
	if e.Cause != "" || e.Outcome != "" || e.Kind == KeysFetched || e.Kind == TokenAsked {
		attrs = append(attrs, slog.Int64("took_ms", e.Took.Milliseconds()))
	}
	flag("remembered", e.Remembered)
	flag("bearer", e.Bearer)
	if e.Err != nil {
		text("error", e.Err.Error())
		if p, ok := errors.AsType[fromProvider](e.Err); ok {
			text("description", p.ProviderSays())
		}
	}
	text("issuer", e.Issuer)
	text("subject", e.Subject)
	flag("unverified", e.Unverified)
	text("login", e.Login)
	return slog.GroupValue(attrs...)
}
