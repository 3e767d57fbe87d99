package cookies

import (
	"net/http"
	"strings"

	"github.com/tokenlife/tokenlife/refresh"
)

// Replace changes the header of a request into what the browser would have sent
// after a [Policy.Write] of t: our cookies are taken out, and those of t put at
// the end. All other cookies stay as they are. Where RefreshPath is set, the
// refresh cookie is put in only if the request had one.
//
// An error, one of those of Write, leaves the header as it was.
func (p Policy) Replace(h http.Header, t refresh.Tokens) error {
	n := p.names()
	login, err := p.bake(&n, t)
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

// Strip takes our cookies, the marker included, out of the header of a request
// that is passed on to who has no use for them. All other cookies stay as they
// are; a Cookie header of which nothing is left is deleted.
func (p Policy) Strip(h http.Header) {
	n := p.names()
	lines, _ := p.without(&n, h["Cookie"])
	if len(lines) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = lines
}

// without returns the lines of a Cookie header less our cookies, in a slice of
// its own, since copies of a request share theirs. It also says what it left out.
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
