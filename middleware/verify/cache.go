package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	maxHeaders = 256  // distinct JOSE headers that have a number
	maxShared  = 1024 // distinct combinations of issuer, client, audience and scope
)

// A cache holds tokens that have been verified. Refused tokens are never in it,
// so they evict nothing.
//
// All bytes of a token are its key: the first segment, of which there are few
// different ones, is compared as it is, and the rest by its SHA-256. A token
// with an unknown first segment is not in the cache, so made-up headers are
// refused without hashing.
type cache struct {
	tokens *lru.Cache[[sha256.Size]byte, *cachedToken]
	shared *lru.Cache[string, *shared]

	recent  recents[cachedToken]
	headers atomic.Pointer[map[string]int32] // first segments, numbered from 1
	last    atomic.Pointer[numberedHeader]   // the latest of them, as most tokens have it
	mu      sync.Mutex                       // held to change headers
}

// A numberedHeader is a first segment and its number. The number 0 is for all
// those for which there was no room in headers.
type numberedHeader struct {
	header string
	number int32
}

// A cachedToken holds the fields of a verified token. It is small, as there are
// 100,000 of them: values that many tokens share are stored once, and the
// payload is not stored.
type cachedToken struct {
	names    string        // sub, then the session, then jti
	subject  int32         // the length of sub
	session  int32         // the length of the session's name
	header   int32         // the number of the first segment
	seen     atomic.Uint32 // how often it was found by its hash
	exp, iat int64         // Unix seconds
	key      *key
	shared   *shared
}

// A shared holds the values that many tokens have in common.
type shared struct {
	rules            *rules
	clientID         string
	audience, scopes []string
	groups           []string
	hasIssuedAt      bool
}

// newCache returns a cache for size tokens, or nil for none.
func newCache(size int) *cache {
	if size <= 0 {
		return nil
	}
	m := new(cache)
	// The only error is for a size that is not positive.
	m.tokens, _ = lru.New[[sha256.Size]byte, *cachedToken](size)
	m.shared, _ = lru.New[string, *shared](maxShared)
	m.headers.Store(&map[string]int32{})
	return m
}

// digest returns the SHA-256 of a token, without its first segment if that has
// a number.
func digest(raw string, header numberedHeader) [sha256.Size]byte {
	if header.number != 0 {
		raw = raw[len(header.header):]
	}
	// A conversion to []byte would copy raw at each request, which costs a
	// tenth of the hash itself. This is safe, as Sum256 neither changes nor
	// keeps its argument.
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(raw), len(raw)))
}

// find returns the cached token with these bytes, or nil.
func (m *cache) find(raw string) *cachedToken {
	if m == nil {
		return nil
	}
	slot := m.recent.slot(raw)
	if r := find(slot, raw); r != nil {
		return r
	}
	dot := strings.IndexByte(raw, '.')
	if dot < 0 {
		return nil
	}
	header, ok := m.number(raw[:dot])
	if !ok {
		return nil
	}
	if r, ok := m.tokens.Get(digest(raw, header)); ok && r.header == header.number {
		admit(slot, raw, r, &r.seen)
		return r
	}
	return nil
}

// number returns the number of a first segment. It reports false if no cached
// token has it.
func (m *cache) number(header string) (numberedHeader, bool) {
	if last := m.last.Load(); last != nil && last.header == header {
		return *last, true
	}
	headers := *m.headers.Load()
	number, ok := headers[header]
	return numberedHeader{header, number}, ok || len(headers) == maxHeaders
}

// add stores a token that has been verified.
func (m *cache) add(raw, header string, r *cachedToken) {
	if m == nil {
		return
	}
	n, ok := m.number(header)
	if !ok {
		n = m.addHeader(header)
	}
	r.header = n.number
	m.tokens.Add(digest(raw, n), r)
}

func (m *cache) addHeader(header string) numberedHeader {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.number(header); ok {
		return n
	}
	headers := maps.Clone(*m.headers.Load())
	n := &numberedHeader{strings.Clone(header), int32(len(headers) + 1)} // without Clone the whole token would stay in memory
	headers[n.header] = n.number
	m.headers.Store(&headers)
	m.last.Store(n)
	return *n
}

// share returns the values of a token that others have too, from the cache if
// they are in it.
func (m *cache) share(r *rules, c *claims) *shared {
	if m == nil {
		return newShared(r, c)
	}
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	b.shared = appendShared(b.shared[:0], r, c)
	id := b.shared
	if s, ok := m.shared.Get(string(id)); ok && s.rules == r {
		return s
	}
	s := newShared(r, c)
	m.shared.Add(string(id), s)
	return s
}

// appendShared appends the key of the values that tokens of these claims share.
// Each part stands behind its length: client_id and azp can hold any byte, so
// with a separator one client could choose a name that reads as the groups of
// another.
func appendShared(id []byte, r *rules, c *claims) []byte {
	id = append(id, 0)
	if c.hasIat {
		id[len(id)-1] = 1
	}
	id = append(binary.AppendUvarint(id, uint64(len(r.URL))), r.URL...)
	for _, part := range [...][]byte{c.aud, c.scope, c.scp, c.clientID, c.azp, c.groups} {
		id = append(binary.AppendUvarint(id, uint64(len(part))), part...)
	}
	return id
}

func newShared(r *rules, c *claims) *shared {
	client := c.clientID
	if len(client) == 0 {
		client = c.azp
	}
	// Clipped, so that a caller's append copies them.
	return &shared{
		rules:       r,
		clientID:    string(client),
		audience:    slices.Clip(stringsOf(c.aud, false)),
		scopes:      slices.Clip(slices.Concat(stringsOf(c.scope, true), stringsOf(c.scp, true))),
		groups:      slices.Clip(stringsOf(c.groups, false)),
		hasIssuedAt: c.hasIat,
	}
}

// token sets every field of t.
func (m *cachedToken) token(raw string, t *Token) {
	s := m.shared
	t.Raw = raw
	t.Issuer = s.rules.URL
	t.Subject = m.names[:m.subject]
	t.Session = m.names[m.subject : m.subject+m.session]
	t.ID = m.names[m.subject+m.session:]
	t.ClientID = s.clientID
	t.Audience = s.audience
	t.Scopes = s.scopes
	t.Groups = s.groups
	t.Expiry = time.Unix(m.exp, 0)
	t.IssuedAt = time.Time{}
	if s.hasIssuedAt {
		t.IssuedAt = time.Unix(m.iat, 0)
	}
	t.answer = nil
}

// A buffer holds the decoded parts of a token while it is verified.
type buffer struct{ header, payload, signature, shared []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}
