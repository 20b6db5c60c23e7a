package rules

import (
	"fmt"
	"go/ast"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// namedTest is how documents name a test.
var namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")

// TestNamedTestsExist: what a document says to be proven by a test, is.
func TestNamedTestsExist(t *testing.T) {
	tests := map[string]bool{}
	for _, f := range textFiles(t) {
		if strings.HasSuffix(f.name, "_test.go") {
			_, parsed := parse(t, f.name, f.text)
			for _, d := range parsed.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
					tests[fn.Name.Name] = true
				}
			}
		}
	}
	for _, f := range textFiles(t) {
		if strings.HasSuffix(f.name, ".md") {
			check(t, missingTests(f.name, f.text, tests))
		}
	}
}

func missingTests(file, text string, tests map[string]bool) (broken []string) {
	for _, m := range namedTest.FindAllStringSubmatch(text, -1) {
		if !tests[m[1]] {
			broken = append(broken, fmt.Sprintf("%s: names %s, and there is no such test", file, m[1]))
		}
	}
	return broken
}

func TestMissingTestsCatches(t *testing.T) {
	tests := map[string]bool{"TestA": true}
	require.Empty(t, missingTests("a.md", "so it is: `TestA` (x)", tests))
	require.NotEmpty(t, missingTests("a.md", "`TestA`, `FuzzB`", tests))
}
