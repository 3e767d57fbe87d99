package leak

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A wholeRun is what all tests have written with go test -v -artifacts, and all
// that they have kept: the output of tests in files of the name tests.output.
type wholeRun struct {
	outputs []output
	secrets map[string][]string // by their names
}

// An output is one file.
type output struct {
	part  string // "tests" or as [Keep] was told
	name  string // for whoever looks for it
	lines []string
}

const testsOutput = "tests.output"

// partOf is what a file's name has beside the part.
var partOf = regexp.MustCompile(`(-\d+)?\.output$`)

// artifacts is how go test -v tells which folder is of which test.
var artifacts = regexp.MustCompile(`^\s*=== ARTIFACTS (\S+) (.+)$`)

// readRun reads a folder, and all folders in it.
func readRun(folder string) (run wholeRun, err error) {
	run.secrets = map[string][]string{}
	tests := map[string]string{} // by their artifacts' folder
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(path) == filepath.Ext(secretsFile) {
			return run.learn(text)
		}
		part := partOf.ReplaceAllString(filepath.Base(path), "")
		o := output{part: part, name: path}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimRight(line, "\r\n")
			o.lines = append(o.lines, line)
			if groups := artifacts.FindStringSubmatch(line); groups != nil && part == "tests" {
				tests[groups[2]] = groups[1]
			}
		}
		run.outputs = append(run.outputs, o)
		return nil
	})
	for i, o := range run.outputs {
		if test, ok := tests[filepath.Dir(o.name)]; ok {
			run.outputs[i].name = test + ": " + filepath.Base(o.name)
		}
	}
	return run, err
}

func (run *wholeRun) learn(text []byte) error {
	var secrets map[string][]string
	if err := json.Unmarshal(text, &secrets); err != nil {
		return err
	}
	for name, values := range secrets {
		run.secrets[name] = append(run.secrets[name], values...)
	}
	return nil
}

// leaks returns a line for each secret that is written somewhere: where, and of
// what shape or by which name, but nothing of it.
func (run *wholeRun) leaks() (found []string) {
	for _, o := range run.outputs {
		for n, line := range o.lines {
			for _, s := range shapes {
				for range s.in(line) {
					found = append(found, o.at(n, s.name))
				}
			}
		}
	}
	return append(found, run.known()...)
}

// known returns such a line for each secret that a test knew. Of these, 12
// characters in a row are found, but for those that [random] takes for words:
// a name that somebody has given stands in many places.
func (run *wholeRun) known() (found []string) {
	type place struct{ output, line int }
	written := map[[window]byte]place{}
	for i, o := range run.outputs {
		for n, line := range o.lines {
			for j := range len(line) - window + 1 {
				written[[window]byte([]byte(line[j:j+window]))] = place{i, n}
			}
		}
	}
	told := map[string]bool{}
	for name, values := range run.secrets {
		for _, value := range values {
			for i := range len(value) - window + 1 {
				part := value[i : i+window]
				at, ok := written[[window]byte([]byte(part))]
				if !ok || !random(part) {
					continue
				}
				text := run.outputs[at.output].at(at.line, name)
				if !told[text] {
					told[text] = true
					found = append(found, text)
				}
			}
		}
	}
	return found
}

// at tells where something is, and what stands around it.
func (o output) at(line int, what string) string {
	const enough = 160
	around := long.ReplaceAllStringFunc(o.lines[line], func(text string) string {
		if words.ReplaceAllString(separators.ReplaceAllString(text, ""), "") == "" {
			return text
		}
		return "…"
	})
	if len(around) > enough {
		around = strings.ToValidUTF8(around[:enough], "") + "…"
	}
	return fmt.Sprintf("%s:%d: %s, in: %s", o.name, line+1, what, around)
}

// long is what is not shown of a line, unless it is words.
var long = regexp.MustCompile(`[\w.~+/%=-]{12,}`)
