package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, name string, text any) (*token.FileSet, *ast.File) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	return set, file
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range packages(t) {
		var comments []string
		for _, name := range p.sources() {
			_, file := parse(t, name, nil)
			comments = append(comments, file.Doc.Text())
		}
		check(t, packageComment(p.path(), p.Name, comments))
	}
}

// packageComment takes the comments above the package clauses of all files.
func packageComment(path, name string, comments []string) []string {
	start := "Package " + name + " "
	if name == "main" {
		start = "Command "
	}
	if slices.ContainsFunc(comments, func(c string) bool { return strings.HasPrefix(c, start) }) {
		return nil
	}
	return []string{path + `: has no package comment ("` + start + `…")`}
}

func TestPackageCommentCatches(t *testing.T) {
	require.Len(t, packageComment("detect", "detect", nil), 1)
	require.Len(t, packageComment("detect", "detect", []string{"", "Packet detect is."}), 1)
	require.Len(t, packageComment("", "main", []string{"Package main is."}), 1)
	require.Empty(t, packageComment("detect", "detect", []string{"", "Package detect is."}))
	require.Empty(t, packageComment("", "main", []string{"Command detectd is."}))
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.sources() {
			check(t, undocumented(parse(t, name, nil)))
		}
	}
}

// wellKnown are methods whose meaning their interface has fixed.
var wellKnown = []string{
	"Error", "Unwrap", "Is", "String", "GoString", "Read", "Write", "ServeHTTP", "Len", "Less", "Swap", "LogValue",
	"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "Scan", "Value",
}

// undocumented returns a line for each exported name of a file without a
// comment of its own or, in a group, of the group.
func undocumented(set *token.FileSet, file *ast.File) (broken []string) {
	if ast.IsGenerated(file) {
		return nil
	}
	need := func(at token.Pos, name, documentation string) {
		first, _, _ := strings.Cut(strings.TrimSpace(documentation), " ")
		switch {
		case !ast.IsExported(name):
		case first == "":
			broken = append(broken, fmt.Sprintf("%s: %s has no comment", set.Position(at), name))
		case first != name && !slices.Contains([]string{"A", "An", "The", "Deprecated:"}, first):
			broken = append(broken, fmt.Sprintf("%s: the comment of %s begins with %q, not with the name", set.Position(at), name, first))
		}
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			method := d.Recv != nil
			if method && (!ast.IsExported(receiver(d)) || slices.Contains(wellKnown, d.Name.Name)) {
				continue
			}
			need(d.Pos(), d.Name.Name, d.Doc.Text())
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					text := s.Doc.Text()
					if text == "" {
						text = d.Doc.Text()
					}
					need(s.Pos(), s.Name.Name, text)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						if text := s.Doc.Text() + s.Comment.Text() + d.Doc.Text(); strings.TrimSpace(text) == "" {
							need(s.Pos(), name.Name, "")
						}
					}
				}
			}
		}
	}
	return broken
}

// receiver is the name of a method's type without pointers and parameters.
func receiver(d *ast.FuncDecl) string {
	for e := d.Recv.List[0].Type; ; {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func TestUndocumentedCatches(t *testing.T) {
	for _, text := range []string{
		"func Bare() {}",
		"type Bare struct{}",
		"var Bare = 1",
		"const (\n\tBare = 1\n)",
		"// Other is documented.\ntype Bare int",
		"type t int\n\n// T is documented.\ntype T[A any] int\n\nfunc (*T[A]) Bare() {}",
	} {
		require.Len(t, undocumented(parse(t, "bad.go", "package p\n\n"+text+"\n")), 1, text)
	}
	for _, text := range []string{
		"// Good is documented.\nfunc Good() {}",
		"func bare() {}",
		"type t int\n\nfunc (t) Bare() {}",
		"// T is documented.\ntype T int\n\nfunc (T) Error() string { return \"\" }",
		"// The numbers of this example.\nconst (\n\tOne = 1\n\tTwo = 2 // twice one\n)",
		"// A Good thing.\ntype Good int",
	} {
		require.Empty(t, undocumented(parse(t, "good.go", "package p\n\n"+text+"\n")), text)
	}
}

func TestNoInitFunctions(t *testing.T) {
	for _, f := range textFiles(t) {
		if strings.HasSuffix(f.name, ".go") && !f.generated() {
			check(t, initFunctions(parse(t, f.name, f.text)))
		}
	}
}

// initFunctions returns a line for each func init, which runs before main can
// have a say and in an order that nobody sees.
func initFunctions(set *token.FileSet, file *ast.File) (broken []string) {
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			broken = append(broken, set.Position(f.Pos()).String()+": has an init function; call it from where it is needed")
		}
	}
	return broken
}

func TestInitFunctionsCatches(t *testing.T) {
	require.Len(t, initFunctions(parse(t, "bad.go", "package p\n\nfunc init() {}\n")), 1)
	require.Empty(t, initFunctions(parse(t, "good.go", "package p\n\ntype t int\n\nfunc (t) init() {}\n")))
}
