package refresh_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
)

const secret = "a client's secret: +/&=ü"

func all(tok refresh.Tokens) []string { return []string{secret, tok.Access, tok.Refresh, tok.ID} }

// brokenTransport fails with an error that shows all that it was given.
type brokenTransport struct{ err error }

func (b brokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.QueryUnescape(string(body))
	return nil, fmt.Errorf("cannot send %s %v: %w", form, r.Header, b.err)
}

func TestOAuth2TransportErrorsAreToldWithoutSecrets(t *testing.T) {
	old := refresh.Tokens{Refresh: "refresh-token-that-nobody-may-see", Access: "access-token-that-nobody-may-see"}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"a name that is not found", &net.DNSError{Err: "no such host", Name: "provider.test"}, "no such host"},
		{"a certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "unknown authority"},
		{"an end", io.ErrUnexpectedEOF, "unexpected EOF"},
		{"plain http", http.ErrSchemeMismatch, "HTTP response to HTTPS client"},
		{"anything else", errors.New("whatever"), "the connection failed"},
		{"a deadline", context.DeadlineExceeded, "deadline exceeded"},
		{"a cancellation", context.Canceled, "canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &refresh.OAuth2{
				ClientID: "client", ClientSecret: secret, AuthMethod: "client_secret_post",
				TokenURL: "https://provider.test/token?key=0123456789abcdef", RevokeURL: "https://provider.test/revoke",
				Client: &http.Client{Transport: brokenTransport{c.err}},
			}
			_, err := client.Refresh(t.Context(), old)
			for _, err := range []error{err, client.Revoke(t.Context(), old)} {
				if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, refresh.ErrDenied) {
					t.Errorf("error is %v, want a temporary one with %q", err, c.want)
				}
				silence.Error(t, err, append(all(old), "0123456789abcdef")...)
			}
		})
	}
}

func TestOAuth2HostileAnswersShowNothing(t *testing.T) {
	const tok = "refresh-token-that-nobody-may-see"
	for _, raw := range []string{
		tok,
		tok + "\r\n\r\n",
		"HTTP/1.1 " + tok + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + tok + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + tok + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + tok + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + tok,
		"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + tok,
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n%zz" + tok,
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"access_token\":\"a\",\"expires_in\":{\"" + tok + "\":1}",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"error\":\"" + tok + "\",\"error_description\":\"" + tok + "\"}",
		"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://[" + tok + "\r\n\r\n",
		"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: https://elsewhere.test/" + tok + "\r\n\r\n",
		"HTTP/1.1 400 " + tok + "\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n\"" + tok + "\"",
		"HTTP/1.1 401 " + tok + "\r\nConnection: close\r\nRetry-After: " + tok + "\r\n\r\n{\"error\":[\"" + tok + "\"]}",
	} {
		dial := func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				go io.Copy(io.Discard, far)
				io.WriteString(far, raw)
				far.Close()
			}()
			return near, nil
		}
		client := &refresh.OAuth2{
			ClientID: "client", TokenURL: "https://provider.test/token",
			Client: &http.Client{Transport: &http.Transport{DialTLSContext: dial, DisableKeepAlives: true}},
		}
		got, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: tok})
		if err == nil {
			t.Errorf("%q gave %v", raw, got)
		}
		silence.Error(t, err, tok)
	}
}
