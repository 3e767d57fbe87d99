package verify

import (
	"encoding/base64"
	"math/big"
	"strings"
)

const (
	minRSABits = 2048
	maxRSABits = 8192 // verifying with a longer key is slow enough for an attack
)

// weaknessOfRSA says why an RSA key with this modulus and exponent is not used.
// It is empty for a sound one.
func weaknessOfRSA(modulus, exponent string) string {
	n, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(modulus, "="))
	if err != nil || len(n) == 0 {
		return "n is not a number in base64url"
	}
	e, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(exponent, "="))
	if err != nil || len(e) == 0 || len(e) > 4 {
		return "e is not a number of at most 4 bytes in base64url"
	}
	N, E := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e).Int64()
	switch bits := N.BitLen(); {
	case bits < minRSABits:
		return "n has fewer than 2048 bits"
	case bits > maxRSABits:
		return "n has more than 8192 bits"
	case N.Bit(0) == 0:
		return "n is even"
	case E < 3 || E > 1<<31-1 || E%2 == 0:
		return "e is not an odd number from 3 to 2^31-1"
	case isROCA(N):
		return "n can be factored (CVE-2017-15361)"
	}
	return ""
}

// isROCA reports whether n looks like the modulus of a key of Infineon's
// library that can be factored (CVE-2017-15361): modulo every small prime it is
// a power of 65537. The same holds for one in about 100 million sound keys.
func isROCA(n *big.Int) bool {
	var rest big.Int
	for p := int64(3); p <= 167; p += 2 {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		r := rest.Mod(n, big.NewInt(p)).Int64()
		power := int64(1)
		for ok := false; !ok; {
			if power == r {
				break
			}
			if power = power * 65537 % p; power == 1 {
				return false
			}
		}
	}
	return true
}
