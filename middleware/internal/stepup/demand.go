// Package stepup knows what an authentication of a user can be demanded to be,
// and the challenge by which a resource demands it (RFC 9470).
package stepup

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Leeway is added to the maximum age of an authentication: for clocks that
// differ, and for the time between the authentication and the end of the
// sign-in.
const Leeway = time.Minute

// maxDate is the last second of the year 9999.
const maxDate = 253402300799

// A Demand is what the authentication of a user has to be.
type Demand struct {
	ACR    []string `json:"a,omitempty"` // one of these; empty: any
	MaxAge *int64   `json:"m,omitempty"` // no longer ago than this, in seconds; nil: at any time
}

// IsZero reports whether every authentication will do.
func (d Demand) IsZero() bool { return len(d.ACR) == 0 && d.MaxAge == nil }

// Check returns an error unless the claims of a token say that the user has
// been authenticated as d demands (OpenID Connect Core 1.0, section 2: acr and
// auth_time).
func (d Demand) Check(claims map[string]json.RawMessage) error {
	if d.MaxAge != nil {
		var seconds float64
		if raw, ok := claims["auth_time"]; !ok || json.Unmarshal(raw, &seconds) != nil || seconds < 1 || seconds > maxDate {
			return errors.New("max_age is demanded, and the token has no auth_time")
		}
		age := time.Since(time.Unix(int64(seconds), 0))
		if age > time.Duration(*d.MaxAge)*time.Second+Leeway || age < -Leeway {
			return fmt.Errorf("its auth_time is %d s ago, and max_age is %d", int64(age/time.Second), *d.MaxAge)
		}
	}
	if len(d.ACR) > 0 {
		var acr string
		if raw, ok := claims["acr"]; !ok || json.Unmarshal(raw, &acr) != nil || !slices.Contains(d.ACR, acr) {
			return fmt.Errorf("its acr is %.100q, and acr_values are %.200q", acr, strings.Join(d.ACR, " "))
		}
	}
	return nil
}

// Params returns the parameters of an authorization request for d.
func (d Demand) Params() url.Values {
	q := url.Values{}
	if len(d.ACR) > 0 {
		q.Set("acr_values", strings.Join(d.ACR, " "))
	}
	if d.MaxAge != nil {
		q.Set("max_age", strconv.FormatInt(*d.MaxAge, 10))
	}
	return q
}

// Mark returns a short text by which two demands can be compared.
func (d Demand) Mark() string { return Mark(d.Params()) }

// Mark returns the Mark of the Demand that has these Params.
func Mark(params url.Values) string {
	sum := sha256.Sum256([]byte(params.Encode()))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// UnknownMark returns a Mark for a Demand that is not known. It is another one
// each time.
func UnknownMark() string { return Mark(url.Values{"": {rand.Text()}}) }
