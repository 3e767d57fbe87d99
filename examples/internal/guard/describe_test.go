package guard

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// describe returns a line for each thing that a package exports: constants,
// variables, functions, types, and their fields and methods, those that come by
// embedding among them. Names of parameters are left out, since no caller
// depends on them.
func describe(pkg *types.Package) []string {
	d := description{pkg: pkg}
	for _, name := range pkg.Scope().Names() {
		if !ast.IsExported(name) {
			continue
		}
		switch o := pkg.Scope().Lookup(name).(type) {
		case *types.Const:
			d.add("const %s %s = %s", name, d.typ(o.Type()), o.Val())
		case *types.Var:
			d.add("var %s %s", name, d.typ(o.Type()))
		case *types.Func:
			d.add("func %s%s", name, d.signature(o.Signature()))
		case *types.TypeName:
			d.typeName(o)
		}
	}
	return d.lines
}

type description struct {
	pkg   *types.Package
	lines []string
}

func (d *description) add(format string, args ...any) {
	path := strings.TrimPrefix(d.pkg.Path(), module+"/")
	line := "pkg " + path + ", " + fmt.Sprintf(format, args...)
	if !slices.Contains(d.lines, line) { // a method of a pointer that is one of the value too
		d.lines = append(d.lines, line)
	}
}

func (d *description) typeName(o *types.TypeName) {
	if o.IsAlias() {
		d.add("type %s = %s", o.Name(), d.typ(o.Type().(*types.Alias).Rhs()))
		return
	}
	named := o.Type().(*types.Named)
	name := o.Name()
	generic := d.typeParams(named.TypeParams())
	switch u := named.Underlying().(type) {
	case *types.Struct:
		d.add("type %s%s struct", name, generic)
		d.fields(name, u)
	case *types.Interface:
		d.add("type %s%s interface", name, generic)
		for m := range u.Methods() {
			if m.Exported() {
				d.add("type %s interface, %s%s", name, m.Name(), d.signature(m.Signature()))
			} else {
				d.add("type %s interface, unexported methods", name)
			}
		}
		return
	default:
		d.add("type %s%s %s", name, generic, d.typ(u))
	}
	ofValue := types.NewMethodSet(named)
	for m := range types.NewMethodSet(types.NewPointer(named)).Methods() {
		if !m.Obj().Exported() {
			continue
		}
		receiver := "*" + name
		if ofValue.Lookup(d.pkg, m.Obj().Name()) != nil {
			receiver = name
		}
		d.add("method (%s) %s%s", receiver, m.Obj().Name(), d.signature(m.Type().(*types.Signature)))
	}
}

// fields lists a struct's exported fields. Those of an embedded type are promoted;
// where the type has a line of its own, they stand there.
func (d *description) fields(name string, s *types.Struct) {
	for f := range s.Fields() {
		if f.Exported() && f.Embedded() {
			d.add("type %s struct, embedded %s", name, d.typ(f.Type()))
		} else if f.Exported() {
			d.add("type %s struct, %s %s", name, f.Name(), d.typ(f.Type()))
		} else if f.Embedded() {
			if inner, ok := pointee(f.Type()).Underlying().(*types.Struct); ok {
				d.fields(name, inner)
			}
		}
	}
}

func pointee(t types.Type) types.Type {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}

func (d *description) typeParams(list *types.TypeParamList) string {
	if list.Len() == 0 {
		return ""
	}
	var all []string
	for p := range list.TypeParams() {
		all = append(all, p.Obj().Name()+" "+d.typ(p.Constraint()))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func (d *description) typ(t types.Type) string {
	return types.TypeString(unnamed(t), func(p *types.Package) string {
		if p == d.pkg {
			return ""
		}
		return p.Name()
	})
}

// signature is that of a function, without the word func.
func (d *description) signature(s *types.Signature) string {
	return d.typeParams(s.TypeParams()) + strings.TrimPrefix(d.typ(s), "func")
}

// unnamed returns t without the names of parameters.
func unnamed(t types.Type) types.Type {
	switch t := t.(type) {
	case *types.Signature:
		return types.NewSignatureType(nil, nil, nil, unnamedTuple(t.Params()), unnamedTuple(t.Results()), t.Variadic())
	case *types.Pointer:
		return types.NewPointer(unnamed(t.Elem()))
	case *types.Slice:
		return types.NewSlice(unnamed(t.Elem()))
	case *types.Map:
		return types.NewMap(unnamed(t.Key()), unnamed(t.Elem()))
	case *types.Chan:
		return types.NewChan(t.Dir(), unnamed(t.Elem()))
	}
	return t
}

func unnamedTuple(tuple *types.Tuple) *types.Tuple {
	var vars []*types.Var
	for v := range tuple.Variables() {
		vars = append(vars, types.NewParam(v.Pos(), v.Pkg(), "", unnamed(v.Type())))
	}
	return types.NewTuple(vars...)
}

func TestEverythingExportedHasALine(t *testing.T) {
	const source = `package p
import "io"
const C = "c"
const hidden = 1
var V, w error
type K int
type A = map[string]K
type F func(name string, more ...int) (n int, err error)
type I interface { io.Reader; M(x K); u() }
type base struct { Deep int; low int }
func (*base) Promoted(call func(a int) error) {}
type S[T any] struct { base; *K; io.Writer; Field chan func(n int); low int }
func (S[T]) Value() T { panic(0) }
func (s *S[T]) Pointer(other T) {}
func (s *S[T]) low2() {}
func G[T ~int, U any](t T, u []U) (_ *S[U]) { return nil }
func g() {}
`
	want := []string{
		`pkg p, const C untyped string = "c"`,
		`pkg p, func G[T ~int, U any](T, []U) *S[U]`,
		`pkg p, method (*S) Pointer(T)`,
		`pkg p, method (*S) Promoted(func(int) error)`,
		`pkg p, method (S) Value() T`,
		`pkg p, method (S) Write([]byte) (int, error)`,
		`pkg p, type A = map[string]K`,
		`pkg p, type F func(string, ...int) (int, error)`,
		`pkg p, type I interface`,
		`pkg p, type I interface, M(K)`,
		`pkg p, type I interface, Read([]byte) (int, error)`,
		`pkg p, type I interface, unexported methods`,
		`pkg p, type K int`,
		`pkg p, type S struct, Deep int`,
		`pkg p, type S struct, Field chan func(int)`,
		`pkg p, type S struct, embedded *K`,
		`pkg p, type S struct, embedded io.Writer`,
		`pkg p, type S[T any] struct`,
		`pkg p, var V error`,
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := config.Check("p", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := describe(pkg)
	slices.Sort(got)
	if missing, more := difference(want, got), difference(got, want); len(missing)+len(more) > 0 {
		t.Errorf("missing:\n%stoo many:\n%s", marked("- ", missing), marked("+ ", more))
	}
}
