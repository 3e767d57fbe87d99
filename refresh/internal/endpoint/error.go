package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// ErrNoAnswer is exported by package refresh under the same name. It is
// declared in this package because Error wraps it.
var ErrNoAnswer = errors.New("refresh: no answer from the provider")

var errTooLong = errors.New("refresh: the provider's answer is longer than 1 MiB")

// Error returns the error of a request without an answer. Errors of net/http
// can quote what a broken server has sent, and those of a transport can hold
// anything. So the result wraps only kinds of errors that cannot hold a token.
func Error(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" || isNoServer(err) {
		return fmt.Errorf("refresh: the provider cannot be reached: %w", reason(err)) // and has seen nothing
	}
	if errors.Is(err, errTooLong) {
		return errTooLong
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, reason(err))
}

// isNoServer reports whether err was returned before anything was sent.
func isNoServer(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok || isHandshake(alertOf(err)) || errors.Is(err, http.ErrSchemeMismatch) || errors.Is(err, syscall.ECONNREFUSED)
}

// alertOf returns the TLS alert with which a server has ended a connection, or
// nil. Its text is one of package tls.
func alertOf(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok && fmt.Sprintf("%T", e.Err) == "tls.alert" {
		return e.Err
	}
	return nil
}

// isHandshake reports whether a server has refused a connection by an alert,
// such as for the client's certificate or its lack. It has not read a request
// then, although with TLS 1.3 one may have been sent.
func isHandshake(alert error) bool {
	return alert != nil && (strings.Contains(alert.Error(), "certificate") || strings.Contains(alert.Error(), "handshake"))
}

// reason returns the part of a transport's error that can hold no secret.
func reason(err error) error {
	for _, known := range []error{
		context.DeadlineExceeded, context.Canceled, io.ErrUnexpectedEOF, io.EOF, http.ErrSchemeMismatch,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if e := alertOf(err); e != nil {
		return e
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return errors.New("time-out")
	}
	return errors.New("the connection failed")
}
