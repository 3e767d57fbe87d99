package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxKeys    = 100
	maxLeftOut = 8 // entries of a key set that an event or an error names
)

// A flaw says why an entry of a key set is left out. It repeats no key.
type flaw struct {
	text    string
	foreign bool // the entry is not meant for signatures, as many sets have some
}

// A parsedSet is what is usable of a JWKS document, and what is not.
type parsedSet struct {
	keys    []*key
	leftOut []string // of each entry that is not used: its place, its kid and why
	flawed  bool     // one of them looks like a key for signatures
}

// parseKeys reads a JWKS document (RFC 7517 section 5). An entry that is
// malformed, weak, unknown, or not for verifying signatures is left out, and
// costs no other entry. Several keys may have one ID (section 4.5); the same
// key for the same algorithm counts once. A document without usable keys is an
// error.
func parseKeys(document []byte) (parsedSet, error) {
	var set parsedSet
	entries, err := entriesOf(document)
	if err != nil {
		return set, err
	}
	// keyfunc returns the public key for a token, from jwkset's storage. It is
	// asked here once for every key, so that no request waits for its lock, and
	// by the key's place in the document, as several can have one ID.
	var usable []jwkset.JWK
	var found []jwkset.JWKMarshal
	more := 0
	for i, entry := range entries {
		m, jwk, flaw := parseJWK(entry, strconv.Itoa(len(found)))
		switch {
		case flaw.text == "":
			usable, found = append(usable, jwk), append(found, m)
			continue
		case !flaw.foreign:
			set.flawed = true
		}
		if len(set.leftOut) == maxLeftOut {
			more++
			continue
		}
		named := "without a kid"
		if m.KID != "" {
			named = fmt.Sprintf("kid %.40q", m.KID)
		}
		set.leftOut = append(set.leftOut, fmt.Sprintf("entry %d, %s: %s", i+1, named, flaw.text))
	}
	if more > 0 {
		set.leftOut = append(set.leftOut, fmt.Sprintf("and %d more", more))
	}
	if len(usable) == 0 {
		return set, noKey(set.leftOut)
	}
	store := jwkset.NewMemoryStorage()
	if err := store.KeyReplaceAll(context.Background(), usable); err != nil {
		return set, err
	}
	lookup, err := keyfunc.New(keyfunc.Options{Storage: store})
	if err != nil {
		return set, err
	}
	for i, m := range found {
		public, err := lookup.Keyfunc(&jwt.Token{Header: map[string]any{"alg": string(m.ALG), "kid": strconv.Itoa(i)}})
		if err != nil {
			return set, err
		}
		k := newKey(m, public)
		if !slices.ContainsFunc(set.keys, k.same) {
			set.keys = append(set.keys, k)
		}
	}
	return set, nil
}

// noKey is the error of a document that has no usable key.
func noKey(leftOut []string) error {
	if len(leftOut) == 0 {
		return errors.New("no usable key: keys is empty")
	}
	return fmt.Errorf("no usable key: %s", strings.Join(leftOut, "; "))
}

// entriesOf returns the undecoded elements of keys. The document is only held
// to JSON here: what else is wrong within an entry is that entry's alone.
func entriesOf(document []byte) (entries []json.RawMessage, err error) {
	document = bytes.TrimPrefix(document, []byte("\ufeff")) // RFC 8259 section 8.1
	if !json.Valid(document) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(document))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var list json.RawMessage
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errors.New("not a JSON object")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("not a JSON object")
		}
		switch {
		case name != "keys":
		case list != nil:
			return nil, errors.New("two keys members")
		default:
			list = value
		}
	}
	switch {
	case list == nil:
		return nil, errors.New("no keys member")
	case list[0] != '[' || json.Unmarshal(list, &entries) != nil:
		return nil, errors.New("keys is not an array")
	case len(entries) > maxKeys:
		return nil, errors.New("keys has more than 100 entries")
	}
	return entries, nil
}

// parseJWK reads one key, which jwkset gets under the name as. The flaw is
// empty if the key can verify signatures.
func parseJWK(data []byte, as string) (m jwkset.JWKMarshal, jwk jwkset.JWK, f flaw) {
	refuse := func(format string, a ...any) {
		if f.text == "" {
			f.text = fmt.Sprintf(format, a...)
		}
	}
	ok := members(data, func(name, value []byte) bool {
		if isEmpty(value) {
			return true // null, "" and [] say as much as nothing
		}
		var to *string
		switch string(name) {
		case "kty":
			to = (*string)(&m.KTY)
		case "use":
			to = (*string)(&m.USE)
		case "alg":
			to = (*string)(&m.ALG)
		case "kid":
			to = &m.KID
		case "crv":
			to = (*string)(&m.CRV)
		case "n":
			to = &m.N
		case "e":
			to = &m.E
		case "x":
			to = &m.X
		case "y":
			to = &m.Y
		case "key_ops":
			verifies := false
			if !elements(value, func(element []byte) bool {
				op, ok := text(element)
				verifies = verifies || string(op) == "verify"
				return ok
			}) {
				refuse("key_ops is not an array of strings")
			}
			m.KEYOPS = []jwkset.KEYOPS{jwkset.KeyOpsVerify}
			if !verifies {
				m.KEYOPS[0] = ""
			}
			return true
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			// A private or symmetric key in a public document is known to
			// everybody.
			refuse("%s makes it a private or symmetric key, which everybody can read here", name)
			return true
		default:
			return true
		}
		s, ok := text(value)
		if *to = string(s); !ok {
			refuse("%s is not a string", name)
		}
		return true
	})
	switch {
	case !ok:
		return m, jwk, flaw{text: "it is not a plain JSON object, of UTF-8 and without a member twice"}
	case f.text == "":
		f = judge(&m)
	}
	if f.text != "" {
		return m, jwk, f
	}
	// The alg is checked above, and jwkset knows that of Ed25519 by one name.
	public := jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, N: m.N, E: m.E, X: m.X, Y: m.Y, KID: as}
	if alg := algorithms[string(m.ALG)]; alg != nil {
		public.ALG = jwkset.ALG(alg.method.Alg())
	}
	m.ALG = public.ALG
	jwk, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		f.text = "its x and y are no public key of its type" // the error may repeat them
	}
	return m, jwk, f
}

// isEmpty reports whether a value of a JWK says as much as an absent one.
func isEmpty(value []byte) bool {
	switch value[0] {
	case '[':
		return elements(value, func([]byte) bool { return false })
	case '"':
		return len(value) == 2
	}
	return string(value) == "null"
}

// judge says why a key is not used whose members are well-formed. It checks
// what jwkset does not: that the type, the curve and the algorithm fit together
// and are known, and that the key is meant for signatures and strong enough.
// jwkset checks that a point is on its curve.
func judge(m *jwkset.JWKMarshal) flaw {
	alg := algorithms[string(m.ALG)]
	switch {
	case m.USE != "" && m.USE != jwkset.UseSig:
		return flaw{fmt.Sprintf("use is %.20q, and not sig", m.USE), true}
	case len(m.KEYOPS) > 0 && m.KEYOPS[0] != jwkset.KeyOpsVerify:
		return flaw{"key_ops has no verify", true}
	case m.ALG != "" && alg == nil:
		return flaw{text: fmt.Sprintf("alg %.20q is not supported", m.ALG)}
	case m.KTY == "":
		return flaw{text: "it has no kty"}
	}
	known := false
	for _, a := range algorithms {
		known = known || string(m.KTY) == a.kty && string(m.CRV) == a.crv
	}
	switch {
	case !known:
		return flaw{text: fmt.Sprintf("kty %.20q with crv %.20q is not supported", m.KTY, m.CRV)}
	case alg != nil && (alg.kty != string(m.KTY) || alg.crv != string(m.CRV)):
		return flaw{text: fmt.Sprintf("alg %.20q does not go with kty %.20q and crv %.20q", m.ALG, m.KTY, m.CRV)}
	}
	switch m.KTY {
	case jwkset.KtyRSA:
		if m.X != "" || m.Y != "" {
			return flaw{text: "it has members of two types of key"}
		}
		return flaw{text: weaknessOfRSA(m.N, m.E)}
	default:
		if m.N != "" || m.E != "" || (m.Y != "") != (m.KTY == jwkset.KtyEC) {
			return flaw{text: "it has members of two types of key, or lacks one"}
		}
	}
	return flaw{}
}
