package clientauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

// maxFile bounds what is read of a file. A key with a chain of certificates has
// some ten kilobytes.
const maxFile = 1 << 20

// load returns the pair that the files hold now, or the one that they held
// before if they cannot be used now. Then it tells so, once.
func (k *Key) load() (*pair, error) {
	k.mu.Lock()
	p, err := k.loadLocked()
	tell := p != nil && err != nil && !k.told
	k.told = p != nil && err != nil
	k.mu.Unlock()
	if p == nil {
		return nil, err
	}
	if tell {
		k.fallback.For(k.Observe).Tell(context.Background(), event.Event{
			Kind: event.Misconfigured, Level: slog.LevelWarn,
			Err: fmt.Errorf("%w; the earlier key stays in use until the file can be used", err),
		})
	}
	return p, nil
}

// loadLocked returns the pair to use. An error beside it says why it is not
// that of the files. mu is held.
func (k *Key) loadLocked() (*pair, error) {
	now := time.Now()
	stamps, err := k.stampFiles()
	if err == nil && k.current != nil && areSame(k.stamps, stamps) {
		return k.current, nil
	}
	var next *pair
	if err == nil {
		next, err = k.read()
	}
	if err != nil {
		return k.current, err // the files are read again at the next use
	}
	was := k.current
	k.current, k.stamps = next, stamps
	if areNew(stamps, now) {
		k.stamps = nil
	}
	if was != nil && !next.same(was) {
		// Their connections have shown the old certificate. Those that are in
		// use end after it, as no request comes to the transport again.
		for _, t := range k.transports {
			t.CloseIdleConnections()
		}
		clear(k.transports)
	}
	return next, nil
}

// files returns the files in use, with the fields that name them.
func (k *Key) files() (names, fields []string) {
	if k.File != "" {
		names, fields = append(names, k.File), append(fields, "Key.File")
	}
	if k.CertFile != "" {
		names, fields = append(names, k.CertFile), append(fields, "Key.CertFile")
	}
	return names, fields
}

func (k *Key) stampFiles() ([]os.FileInfo, error) {
	names, fields := k.files()
	var stamps []os.FileInfo
	for i, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("clientauth: %s: %w", fields[i], err)
		}
		stamps = append(stamps, info)
	}
	return stamps, nil
}

func areSame(a, b []os.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}

// areNew reports whether a file has changed so shortly before the time now that
// the next change may leave it with the same time.
func areNew(stamps []os.FileInfo, now time.Time) bool {
	const moment = 2 * time.Second // the least that any file system tells apart
	return slices.ContainsFunc(stamps, func(info os.FileInfo) bool { return now.Sub(info.ModTime()) < moment })
}

// read reads the files. Its errors show nothing of what is in them.
func (k *Key) read() (*pair, error) {
	p := &pair{private: k.Signer}
	names, fields := k.files()
	for i, name := range names {
		key, chain, err := readPEM(name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("clientauth: %s: %w", fields[i], err)
		case name == k.File && key == nil:
			return nil, fmt.Errorf("clientauth: Key.File: %s has no private key in PEM form", name)
		case name == k.CertFile && len(chain) == 0:
			return nil, fmt.Errorf("clientauth: Key.CertFile: %s has no certificate in PEM form", name)
		}
		if name == k.File {
			p.private = key
		}
		if len(chain) > 0 {
			p.chain = chain // the CertFile's, which comes last, wins
		}
	}
	if _, err := signer.Use(p.private, ""); err != nil {
		return nil, fmt.Errorf("clientauth: Key: %w", err)
	}
	if len(p.chain) > 0 {
		public, ok := p.private.Public().(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !public.Equal(p.chain[0].PublicKey) {
			return nil, errors.New("clientauth: Key.CertFile: the first certificate is not that of the private key")
		}
	}
	return p, nil
}

// readPEM returns the first private key and all certificates of a PEM file.
func readPEM(name string) (key crypto.Signer, chain []*x509.Certificate, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	rest, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, err
	}
	if len(rest) > maxFile {
		return nil, nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("longer than %d bytes", maxFile)}
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return key, chain, nil
		}
		switch {
		case block.Type == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("%s has a certificate that cannot be read", name)
			}
			chain = append(chain, c)
		case key == nil && strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
				return nil, nil, fmt.Errorf("the private key in %s is encrypted; it must be stored without a password", name)
			}
			if key = parseKey(block.Bytes); key == nil {
				return nil, nil, fmt.Errorf("the private key in %s cannot be read", name)
			}
		}
	}
}

// parseKey returns the key of a PEM block, in whichever form it is, or nil.
func parseKey(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key
		case *ecdsa.PrivateKey:
			return key
		case ed25519.PrivateKey:
			return key
		}
		return nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}
