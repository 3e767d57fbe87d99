package guard

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// A readme is what a README file shows.
type readme struct {
	name     string
	blocks   []block
	text     string   // without the blocks
	commands []string // in blocks and in the text
}

// A block is a block of code.
type block struct{ language, text string }

// readmes returns the README files of the repository, those beside the first that
// speak of more than a user needs, and the pages of the providers.
func readmes(t *testing.T) (all []readme) {
	t.Helper()
	for _, name := range files(t, func(name string) bool {
		return path.Base(name) == "README.md" || name == "SECURITY.md" || name == "CONTRIBUTING.md" ||
			path.Dir(name) == "examples/providers" && path.Ext(name) == ".md"
	}) {
		all = append(all, parse(name, readFile(t, name)))
	}
	if len(all) < 12 {
		t.Errorf("found only %d files", len(all))
	}
	return all
}

// parse reads as much of Markdown as these files use: fenced blocks, indented
// ones after an empty line, and code between backticks.
func parse(name, text string) readme {
	r := readme{name: name}
	var prose strings.Builder
	fence, indented, blank := "", false, true
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		trimmed := strings.TrimSpace(line)
		isIndented := strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")
		mark, language, isFence := cutFence(trimmed)
		switch {
		case fence != "" && trimmed == fence:
			fence = ""
		case fence != "":
			r.extend(line)
		case isFence:
			fence = mark
			r.blocks = append(r.blocks, block{language: language})
		case isIndented && (indented || blank):
			if !indented {
				r.blocks = append(r.blocks, block{})
			}
			indented = true
			r.extend(trimmed)
			continue
		case trimmed != "":
			prose.WriteString(line)
			fallthrough
		default:
			prose.WriteByte('\n')
		}
		indented = indented && trimmed == ""
		blank = trimmed == ""
	}
	r.text = prose.String()
	for _, b := range r.blocks {
		r.commands = append(r.commands, b.commands()...)
	}
	for _, span := range codeSpan.FindAllStringSubmatch(r.text, -1) {
		if line := strings.Join(strings.Fields(span[1]), " "); isCommand(line) {
			r.commands = append(r.commands, line)
		}
	}
	return r
}

func cutFence(line string) (mark, language string, ok bool) {
	rest := strings.TrimLeft(line, "`")
	if mark = line[:len(line)-len(rest)]; len(mark) < 3 || strings.Contains(rest, "`") {
		return "", "", false
	}
	return mark, strings.TrimSpace(rest), true
}

func (r *readme) extend(line string) { r.blocks[len(r.blocks)-1].text += line + "\n" }

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	comment  = regexp.MustCompile(`(^|\s+)#\s.*$`)
	assign   = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*=("[^"]*"|\$\([^)]*\)|\S*)\s+)+`)
	tool     = regexp.MustCompile(`^(\.|apt-get|bash|brew|cd|curl|docker|git|go|kill|make|mkdir|node|npm|npx|openssl|psql|redis-cli|redis-server|sh|sleep|wrk) \S`)
)

// isCommand reports whether a line of code is one that a shell runs.
func isCommand(line string) bool {
	return tool.MatchString(assign.ReplaceAllString(line, ""))
}

// commands returns the command lines of a block, each on one line: in a transcript
// those behind a prompt, in a script all, and in a block of no language those
// that look like one.
func (b block) commands() (lines []string) {
	lineOf := map[string]func(string) (string, bool){
		"console": func(s string) (string, bool) { return strings.CutPrefix(s, "$ ") },
		"sh":      func(s string) (string, bool) { return s, s != "" },
		"bash":    func(s string) (string, bool) { return s, s != "" },
		"":        func(s string) (string, bool) { return s, isCommand(s) || assign.MatchString(s) },
	}[b.language]
	if lineOf == nil {
		return nil
	}
	var whole string
	for line := range strings.Lines(b.text) {
		line = strings.TrimSpace(comment.ReplaceAllString(strings.TrimRight(line, "\n"), ""))
		if whole == "" {
			var ok bool
			if line, ok = lineOf(line); !ok {
				continue
			}
		}
		more := strings.HasSuffix(line, `\`)
		whole += strings.TrimSuffix(line, `\`)
		if !more {
			lines = append(lines, whole)
			whole = ""
		}
	}
	return lines
}

func TestCommandsAreFoundInMarkdown(t *testing.T) {
	const text = "# Title\n\nRun `go run\n./x` or `npm ci`, and see `code`.\n\n" +
		"```console\n$ go run ./a \\\n    -b\nanswer\n$ A=1 B=\"x y\" curl d\n```\n\n" +
		"    go build ./c   # why\n    C=1 D=$(e f) \\\n    g h\n\n    request ── verify\n\ntext\n    go on\n\n" +
		"```sh\nmake it\n```\n```js\ngo.run();\n```\n"
	want := []string{
		"go run ./a -b", `A=1 B="x y" curl d`, "go build ./c", "C=1 D=$(e f) g h", "make it", "go run ./x", "npm ci",
	}
	got := parse("x.md", text).commands
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
