package prom

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"testing"
)

// constants returns the constants of the types Kind and Outcome in a file.
func constants(t *testing.T, path string) (values []string) {
	t.Helper()
	for _, decl := range parse(t, path).Decls {
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
			if name, ok := typ.(*ast.Ident); ok && (name.Name == "Kind" || name.Name == "Outcome") {
				values = append(values, literals(v)...)
			}
		}
	}
	return values
}

// returned returns the words that a function of a file can return.
func returned(t *testing.T, path, function string) []string {
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

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
