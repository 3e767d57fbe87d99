package cognito_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const secret = "a client's secret: +/&=ü"

func all(tok refresh.Tokens) []string { return []string{secret, tok.Access, tok.Refresh, tok.ID} }

// secretive fails the test if err, or anything that it wraps, shows twelve
// characters of a secret.
func secretive(t testing.TB, err error, secrets ...string) {
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

// An answer is a transport that gives it.
type answer struct {
	status int
	body   string
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}

// answering is a Pool that gets one answer.
func answering(status int, body string) *cognito.Pool {
	return &cognito.Pool{
		Region: "eu-test-1", ClientID: "client", ClientSecret: secret,
		Client: &http.Client{Transport: answer{status, body}},
	}
}

// poolOf is a Pool of the app client of a fake one.
func poolOf(fake *refreshtest.Cognito) *cognito.Pool {
	return &cognito.Pool{
		Region: "eu-test-1", ClientID: "client", ClientSecret: fake.ClientSecret, Client: fake.Client(),
	}
}

func after(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}
