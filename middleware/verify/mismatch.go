package verify

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	maxNames = 3   // of a list that an error repeats
	maxName  = 100 // bytes of one of them
)

// A mismatch is a refusal for a claim or a header parameter that has another
// value than is wanted. It says both, as whoever configures the one has to know
// the other. Neither is a secret: they are names of issuers, services and
// algorithms. What came is bounded, and printed in quotes.
type mismatch struct {
	what      string   // the name of the claim or parameter
	got, want []string // got is empty if the token has none
	field     string   // that says what is wanted; may be empty
}

func (m *mismatch) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "verify: token refused: %s is %s", m.what, quoted(m.got, "absent"))
	if len(m.want) > 0 {
		fmt.Fprintf(&b, ", want %s", quoted(m.want, ""))
	}
	if m.field != "" {
		fmt.Fprintf(&b, " (%s)", m.field)
	}
	return b.String()
}

func (m *mismatch) Unwrap() error { return ErrInvalid }

// quoted returns the first names in quotes.
func quoted(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	var b strings.Builder
	for i, name := range names {
		if i == maxNames {
			b.WriteString(" and more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name)
	}
	return b.String()
}

// clip returns a bounded copy of a name.
func clip(name []byte) string {
	if len(name) > maxName {
		return string(name[:maxName]) + "..."
	}
	return string(name)
}

// some returns a bounded copy of a name, or nothing for an empty one.
func some(name []byte) []string {
	if len(name) == 0 {
		return nil
	}
	return []string{clip(name)}
}

// someOf returns bounded copies of the first names of a string or an array of
// strings: one more than are printed.
func someOf(value []byte) (names []string) {
	add := func(element []byte) bool {
		name, _ := text(element)
		names = append(names, clip(name))
		return len(names) <= maxNames
	}
	if len(value) > 0 && value[0] == '"' {
		add(value)
	} else if len(value) > 0 {
		elements(value, add)
	}
	return names
}

// otherIssuer is the refusal of a token whose iss is none of those wanted,
// which are printable.
func otherIssuer(iss []byte, wanted ...string) error {
	if bytes.IndexByte(iss, '@') >= 0 {
		iss = []byte(printable(string(iss))) // without a password
	}
	m := &mismatch{"iss", some(iss), wanted, "Issuer.URL"}
	if len(wanted) == 0 {
		m.field = ""
	}
	return m
}
