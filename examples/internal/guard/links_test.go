package guard

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	link        = regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)`)
	heading     = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *#*$`)
	namedAnchor = regexp.MustCompile(`<a (?:name|id)="([^"]+)"`)
)

func TestLinksOfTheREADMEsLeadSomewhere(t *testing.T) {
	checked := 0
	for _, r := range readmes(t) {
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(r.text, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue // what others have is theirs to keep
			}
			checked++
			name := r.name
			if target != "" {
				name = path.Join(path.Dir(r.name), target)
			}
			info, err := os.Stat(filepath.Join(root, name))
			if err != nil || strings.HasPrefix(name, "..") || strings.HasPrefix(target, "/") {
				t.Errorf("%s links to %s, which there is not", r.name, m[1])
				continue
			}
			if strings.HasSuffix(target, "/") && !info.IsDir() {
				t.Errorf("%s links to %s, which is no folder", r.name, m[1])
			}
			if anchor != "" && !slices.Contains(anchors(parse(name, readFile(t, name))), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", r.name, m[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("found only %d links", checked)
	}
}

// A link to a Go file can be followed by names of what is in it, as in
//
//	[`refresh/store.go`](refresh/store.go): `Store`, `StoreKey`
//
// A reader who opens the file finds them there.
func TestNamesAfterALinkToAFileAreInIt(t *testing.T) {
	checked := 0
	for _, r := range readmes(t) {
		for _, m := range namesAfterLink.FindAllStringSubmatch(r.text, -1) {
			name := path.Join(path.Dir(r.name), m[1])
			source := readFile(t, name)
			for _, span := range codeSpan.FindAllStringSubmatch(m[2], -1) {
				checked++
				declared := regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type |var |const |\t)` + regexp.QuoteMeta(span[1]) + `\b`)
				if !declared.MatchString(source) {
					t.Errorf("%s says that %s is in %s, which does not declare it", r.name, span[1], name)
				}
			}
		}
	}
	if checked < 15 {
		t.Errorf("found only %d names", checked)
	}
}

// namesAfterLink matches a link to a Go file and the names behind it.
var namesAfterLink = regexp.MustCompile("\\]\\(([^)]+\\.go)\\): ((?:`\\w+`(?:, )?)+)")

// anchors returns the names that GitHub gives to the headings of a file.
func anchors(r readme) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(r.text, -1) {
		name := strings.Map(func(c rune) rune {
			switch {
			case unicode.IsLetter(c), unicode.IsDigit(c), c == '-', c == '_':
				return unicode.ToLower(c)
			case c == ' ':
				return '-'
			}
			return -1
		}, link.ReplaceAllString(m[1], "]"))
		for base, i := name, 1; slices.Contains(names, name); i++ {
			name = base + "-" + string(rune('0'+i))
		}
		names = append(names, name)
	}
	for _, m := range namedAnchor.FindAllStringSubmatch(r.text, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestHeadingsAreNamedAsGitHubDoes(t *testing.T) {
	const text = "# The `Auth` type\n## One & two, [a link](x)!\n### Again\n### Again\n```sh\n# no heading\n```\n<a id=\"here\"></a>\n"
	want := []string{"the-auth-type", "one--two-a-link", "again", "again-1", "here"}
	if got := anchors(parse("x.md", text)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
