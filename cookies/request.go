package cookies

import (
	"net/http"
	"strings"

	"github.com/tokenlife/tokenlife/refresh"
)

// Replace changes the header of a request to the one that the browser would
// have sent after a [Policy.Write] of t. It removes the policy's cookies and
// appends those of t. All other cookies stay as they are. If RefreshPath is
// set, the refresh cookie is added only if the request had one.
//
// Its errors are those of Write. They leave the header as it was.
func (p Policy) Replace(h http.Header, t refresh.Tokens) error {
	n := p.names()
	login, err := p.encodeLogin(&n, t)
	if err != nil {
		return err
	}
	lines, removed := p.without(&n, h["Cookie"])
	var b strings.Builder
	for _, c := range login {
		if c.kind == refreshToken && p.hidesRefresh() && removed[refreshToken] == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.name)
		b.WriteByte('=')
		b.WriteString(c.value)
	}
	if last := len(lines) - 1; last >= 0 {
		lines[last] = strings.TrimRight(lines[last], "; \t") + "; " + b.String()
	} else {
		lines = []string{b.String()}
	}
	h["Cookie"] = lines
	return nil
}

// Strip removes the policy's cookies, the marker included, from the header of a
// request before it is forwarded to a server that does not need them. All other
// cookies stay as they are. A Cookie header that becomes empty is deleted.
func (p Policy) Strip(h http.Header) {
	n := p.names()
	lines, _ := p.without(&n, h["Cookie"])
	if len(lines) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = lines
}

// without returns the lines of a Cookie header without our cookies, and which
// cookies it removed. The lines are in a new slice, as copies of a request
// share the old one.
func (p *Policy) without(n *names, header []string) (lines []string, removed [kinds]slotSet) {
	lines = make([]string, 0, len(header)+1)
	for _, line := range header {
		kept, cut := make([]string, 0, 8), false
		rest := line
		for more := true; more; {
			var part string
			part, rest, more = cutPart(rest)
			name, _, _ := cutPair(part)
			if k, at, ok := n.find(name); ok {
				removed[k].add(at)
				cut = true
			} else {
				kept = append(kept, part)
			}
		}
		if cut {
			line = strings.Trim(strings.Join(kept, ";"), "; \t")
		}
		if strings.Trim(line, "; \t") != "" {
			lines = append(lines, line)
		}
	}
	return lines, removed
}
