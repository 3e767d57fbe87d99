package cookies

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
)

// isPlain holds the bytes that an unsealed cookie has as they are. These are
// the bytes of a bearer token (RFC 6750, section 2.1), among them all those of
// a JWT. All other bytes are percent-encoded.
var isPlain = [256]bool{
	'-': true, '.': true, '_': true, '~': true, '+': true, '/': true, '=': true,
	'0': true, '1': true, '2': true, '3': true, '4': true,
	'5': true, '6': true, '7': true, '8': true, '9': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true, 'G': true, 'H': true, 'I': true,
	'J': true, 'K': true, 'L': true, 'M': true, 'N': true, 'O': true, 'P': true, 'Q': true, 'R': true,
	'S': true, 'T': true, 'U': true, 'V': true, 'W': true, 'X': true, 'Y': true, 'Z': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true,
	'j': true, 'k': true, 'l': true, 'm': true, 'n': true, 'o': true, 'p': true, 'q': true, 'r': true,
	's': true, 't': true, 'u': true, 'v': true, 'w': true, 'x': true, 'y': true, 'z': true,
}

const upperHex = "0123456789ABCDEF"

// encode percent-encodes a token, so that it has only bytes that a cookie can
// have.
func encode(token string) string {
	odd := 0
	for i := range len(token) {
		if !isPlain[token[i]] {
			odd++
		}
	}
	if odd == 0 {
		return token
	}
	var b strings.Builder
	b.Grow(len(token) + 2*odd)
	for i := range len(token) {
		if c := token[i]; isPlain[c] {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		}
	}
	return b.String()
}

// decode is the inverse of encode. It accepts only what encode returns, so that
// a token has one form in a cookie.
func decode(value string) (token string, ok bool) {
	i := 0
	for i < len(value) && isPlain[value[i]] {
		i++
	}
	if i == len(value) {
		return value, value != ""
	}
	b := []byte(value[:i])
	for i < len(value) {
		c := value[i]
		if isPlain[c] {
			b = append(b, c)
			i++
			continue
		}
		if c != '%' || len(value)-i < 3 {
			return "", false
		}
		high, low := strings.IndexByte(upperHex, value[i+1]), strings.IndexByte(upperHex, value[i+2])
		if high < 0 || low < 0 || isPlain[high<<4|low] {
			return "", false
		}
		b = append(b, byte(high<<4|low))
		i += 3
	}
	return string(b), true
}

const (
	// maxPieces is the number of full cookies within MaxTotal.
	maxPieces = MaxTotal / maxPair

	// A first piece begins with the number of pieces and the digest of the
	// whole value, as in "3.kq2Vw_0B.".
	pieceHead = 1 + 1 + digestSize + 1

	digestSize = 8
)

// split cuts a value that is too long for one cookie into pieces that fit.
// There are at most maxPieces of them, unless the value alone is longer than
// MaxTotal.
func split(name, value string) []string {
	room := maxPair - len(name) - len(".0")
	n := (pieceHead + len(value) + room - 1) / room
	value = strconv.Itoa(n) + "." + digest("pieces", value) + "." + value
	pieces := make([]string, 0, n)
	for range n {
		end := min(room, len(value))
		pieces = append(pieces, value[:end])
		value = value[end:]
	}
	return pieces
}

// join joins pieces again. The digest keeps pieces of two tokens from being
// joined: a provider that is sent a mixture of two refresh tokens could end the
// login.
func join(pieces *[maxPieces]string) (value string, ok bool) {
	head := pieces[0]
	if len(head) < pieceHead || head[1] != '.' || head[pieceHead-1] != '.' {
		return "", false
	}
	n := int(head[0]) - '0'
	if n < 2 || n > maxPieces {
		return "", false
	}
	// A missing piece is empty here, so that the digest does not match.
	value = head[pieceHead:] + strings.Join(pieces[1:n], "")
	return value, len(value) <= MaxTotal && digest("pieces", value) == head[2:pieceHead-1]
}

// digest returns a short hash of a value, from which the value cannot be found.
// Digests of one value for different uses are unrelated.
func digest(use, value string) string {
	sum := sha256.Sum256([]byte("tokenlife " + use + "\x00" + value))
	return base64.RawURLEncoding.EncodeToString(sum[:digestSize*3/4])
}
