// Package source reads constants and words from Go code, for tests that hold a
// list against them.
package source

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Constants returns the values of the string constants of the named types, of
// whatever package those are, that the code of a folder declares.
func Constants(t testing.TB, folder string, types ...string) (values []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			values = append(values, constants(parse(t, filepath.Join(folder, name)), types)...)
		}
	}
	return values
}

func constants(file *ast.File, types []string) (values []string) {
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			v := spec.(*ast.ValueSpec)
			typ := v.Type
			if s, ok := typ.(*ast.SelectorExpr); ok {
				typ = s.Sel
			}
			if name, ok := typ.(*ast.Ident); ok && slices.Contains(types, name.Name) {
				values = append(values, literals(v)...)
			}
		}
	}
	return values
}

// Returned returns the words that a function of a file can return.
func Returned(t testing.TB, path, function string) []string {
	t.Helper()
	for _, decl := range parse(t, path).Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == function {
			return literals(f)
		}
	}
	t.Fatalf("%s has no function %s", path, function)
	return nil
}

func literals(in ast.Node) (values []string) {
	ast.Inspect(in, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && text != "" && !slices.Contains(values, text) {
				values = append(values, text)
			}
		}
		return true
	})
	return values
}

func parse(t testing.TB, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
