package clientauth

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

var errNoCertificate = errors.New("clientauth: Key.CertFile is empty, and Key.File has no certificate: mutual TLS needs one")

// Transport returns base with the Key's certificate for mutual TLS (RFC 8705,
// section 2). A nil base is [http.DefaultTransport]. It must be an
// [http.Transport] without a certificate of its own. The same base gives the
// same transport, so that connections are shared, until the certificate is
// renewed: ask for it at each request.
func (k *Key) Transport(base http.RoundTripper) (http.RoundTripper, error) {
	p, err := k.load()
	if err != nil {
		return nil, err
	}
	if len(p.chain) == 0 {
		return nil, errNoCertificate
	}
	if base == nil {
		base = http.DefaultTransport
	}
	from, ok := base.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("clientauth: a certificate cannot be given to a transport of type %T; give it its certificate yourself, and no Key", base)
	}
	if from.DialTLSContext != nil {
		return nil, errors.New("clientauth: a certificate cannot be given to a transport with a DialTLSContext of its own")
	}
	if HasCertificate(from) {
		return nil, errors.New("clientauth: the transport has a certificate of its own, and there is a Key as well")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if t := k.transports[from]; t != nil {
		return t, nil
	}
	t := from.Clone()
	t.IdleConnTimeout = cmp.Or(t.IdleConnTimeout, 90*time.Second) // as of http.DefaultTransport
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		p, err := k.load()
		if err != nil {
			return nil, err
		}
		if len(p.chain) == 0 {
			return nil, errNoCertificate
		}
		c := &tls.Certificate{PrivateKey: p.private, Leaf: p.chain[0]}
		for _, part := range p.chain {
			c.Certificate = append(c.Certificate, part.Raw)
		}
		return c, nil
	}
	if k.transports == nil {
		k.transports = make(map[*http.Transport]*http.Transport)
	}
	k.transports[from] = t
	return t, nil
}

// HasCertificate reports whether a transport shows certificates of its own. A
// transport that is no [http.Transport] may do so.
func HasCertificate(t http.RoundTripper) bool {
	own, ok := t.(*http.Transport)
	if !ok {
		return t != nil
	}
	c := own.TLSClientConfig
	return c != nil && (len(c.Certificates) > 0 || c.GetClientCertificate != nil)
}
