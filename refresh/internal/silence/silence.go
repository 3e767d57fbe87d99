// Package silence is for tests. It checks that errors show no secret.
package silence

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// Error fails the test if err, or anything that it wraps, shows twelve
// characters of a secret, as it is or escaped for a query.
func Error(t testing.TB, err error, secrets ...string) {
	t.Helper()
	var texts []string
	var collect func(error)
	collect = func(err error) {
		if err == nil {
			return
		}
		texts = append(texts, err.Error(), fmt.Sprintf("%+v %#v %q", err, err, err))
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			collect(e.Unwrap())
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				collect(err)
			}
		}
	}
	collect(err)
	for _, secret := range secrets {
		for _, form := range []string{secret, url.QueryEscape(secret)} {
			for i := 0; i+12 <= len(form); i++ {
				for _, text := range texts {
					if strings.Contains(text, form[i:i+12]) {
						t.Fatalf("an error shows 12 characters of a secret: %s", text)
					}
				}
			}
		}
	}
}
