package cognito_test

import (
	"io"
	"net/http"
	"strings"
	"time"

	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const secret = "a client's secret: +/&=ü"

func all(tok refresh.Tokens) []string { return []string{secret, tok.Access, tok.Refresh, tok.ID} }

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
