package verify

import (
	"errors"
	"fmt"
)

// ErrExpired says that a token is past its expiry and that nothing else is
// wrong with its claims. [JWT.Verify] returns the token beside it, so that its
// subject can be compared with that of its successor. Nothing may be granted on
// that token, as its signature has not been checked.
var ErrExpired = errors.New("verify: token expired")

// ErrInvalid says that a token is refused: it is malformed, forged, of another
// issuer, for another audience, signed with a key that its issuer does not
// publish (or not yet), or not yet valid. Errors that wrap it say which.
//
// An error that is neither ErrInvalid nor [ErrExpired] says that the token
// could not be checked: the issuer's keys were not available, or the context
// ended.
var ErrInvalid = errors.New("verify: token refused")

// A refusal is a reason for [ErrInvalid]. It is a constant, so that returning
// it for a hostile token costs nothing and it cannot hold a piece of the token.
type refusal string

func (r refusal) Error() string { return "verify: token refused: " + string(r) }
func (r refusal) Unwrap() error { return ErrInvalid }

const (
	errUnknownKey = refusal("no key of this ID and algorithm")
	errNoKid      = refusal("no kid, and no key of this algorithm")
)

// unknown is the error of a verification that could not be decided.
func unknown(issuer string, cause error) error {
	return fmt.Errorf("verify: keys of %s: %w", issuer, cause)
}
