// Package literal reads the few Python and JSON literals that exporters leave in
// the metadata of models: whole numbers, texts, lists, tuples and dictionaries of
// them. Nothing is ever evaluated.
package literal

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits against absurd texts.
const (
	maxDepth = 8
	maxItems = 1 << 16
)

// ErrSyntax is returned for everything else than a literal.
var ErrSyntax = errors.New("not a literal")

// Dict is a dictionary. Keys are int64 or string.
type Dict map[any]any

// Parse reads a literal. Numbers become int64, texts string, lists and tuples
// []any, dictionaries Dict, None and null nil, and truth values bool.
func Parse(text string) (any, error) {
	p := parser{rest: text}
	v, err := p.value(0)
	if err == nil && p.peek() != 0 {
		err = p.fail("the end")
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

type parser struct {
	rest  string
	items int
}

// peek skips white space and returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

// take skips the byte c if it comes next.
func (p *parser) take(c byte) bool {
	if p.peek() != c || c == 0 {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *parser) fail(wanted string) error {
	return fmt.Errorf("%w: %s is missing before %.20q", ErrSyntax, wanted, p.rest)
}

func (p *parser) value(depth int) (any, error) {
	if p.items++; depth > maxDepth || p.items > maxItems {
		return nil, fmt.Errorf("%w: it is too long or too deep", ErrSyntax)
	}
	switch c := p.peek(); {
	case c == '{':
		return p.dict(depth)
	case c == '[':
		return p.list('[', ']', depth)
	case c == '(':
		return p.list('(', ')', depth)
	case c == '\'' || c == '"':
		return p.text()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for word, v := range map[string]any{
		"None": nil, "null": nil, "True": true, "true": true, "False": false, "false": false,
	} {
		if rest, ok := strings.CutPrefix(p.rest, word); ok {
			p.rest = rest
			return v, nil
		}
	}
	return nil, p.fail("a value")
}

func (p *parser) number() (any, error) {
	end := 1
	for end < len(p.rest) && p.rest[end] >= '0' && p.rest[end] <= '9' {
		end++
	}
	if end < len(p.rest) && strings.IndexByte(".eExXoObB_", p.rest[end]) >= 0 {
		return nil, p.fail("a whole number")
	}
	n, err := strconv.ParseInt(p.rest[:end], 10, 64)
	if err != nil {
		return nil, p.fail("a whole number")
	}
	p.rest = p.rest[end:]
	return n, nil
}

func (p *parser) list(from, to byte, depth int) (any, error) {
	p.take(from)
	list := []any{}
	for !p.take(to) {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if !p.take(',') && p.peek() != to {
			return nil, p.fail("a comma")
		}
	}
	return list, nil
}

func (p *parser) dict(depth int) (any, error) {
	p.take('{')
	d := Dict{}
	for !p.take('}') {
		key, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		switch key.(type) {
		case int64, string:
		default:
			return nil, p.fail("a number or text as key")
		}
		if _, twice := d[key]; twice {
			return nil, fmt.Errorf("%w: the key %v comes twice", ErrSyntax, key)
		}
		if !p.take(':') {
			return nil, p.fail("a colon")
		}
		if d[key], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		if !p.take(',') && p.peek() != '}' {
			return nil, p.fail("a comma")
		}
	}
	return d, nil
}

// text reads a quoted text with the escapes that Python's repr and JSON write.
func (p *parser) text() (any, error) {
	quote := p.rest[0]
	s := p.rest[1:]
	var b strings.Builder
	for {
		if s == "" {
			return nil, p.fail("a closing quote")
		}
		if s[0] == quote {
			p.rest = s[1:]
			return b.String(), nil
		}
		if s[0] == '\'' || s[0] == '"' { // the other kind
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if rest, ok := strings.CutPrefix(s, `\/`); ok {
			b.WriteByte('/')
			s = rest
			continue
		}
		if len(s) > 1 && s[0] == '\\' && (s[1] == '\'' || s[1] == '"') {
			b.WriteByte(s[1])
			s = s[2:]
			continue
		}
		if s[0] == '\n' {
			return nil, p.fail("a closing quote")
		}
		r, _, rest, err := strconv.UnquoteChar(s, 0)
		if err != nil || r == utf8.RuneError {
			return nil, p.fail("a known escape")
		}
		b.WriteRune(r) // \xe4 too is a code point in Python
		s = rest
	}
}

// Names reads class names: a list of texts, or a dictionary from the numbers 0,
// 1, … to texts, whose keys may be texts themselves as in JSON.
func Names(text string) ([]string, error) {
	v, err := Parse(text)
	if err != nil {
		return nil, err
	}
	var list []any
	switch v := v.(type) {
	case []any:
		list = v
	case Dict:
		if list, err = inOrder(v); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w of names", ErrSyntax)
	}
	names := make([]string, len(list))
	for i, v := range list {
		name, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%w of names: name %d is no text", ErrSyntax, i)
		}
		names[i] = name
	}
	return names, nil
}

func inOrder(d Dict) ([]any, error) {
	type entry struct {
		key   int64
		value any
	}
	var entries []entry
	for k, v := range d {
		n, ok := k.(int64)
		if s, isText := k.(string); isText {
			var err error
			n, err = strconv.ParseInt(s, 10, 64)
			ok = err == nil
		}
		if !ok {
			return nil, fmt.Errorf("%w of names: key %v is no number", ErrSyntax, k)
		}
		entries = append(entries, entry{n, v})
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].key < entries[j].key })
	list := make([]any, len(entries))
	for i, e := range entries {
		if e.key != int64(i) {
			return nil, fmt.Errorf("%w of names: number %d is missing", ErrSyntax, i)
		}
		list[i] = e.value
	}
	return list, nil
}

// Ints reads a whole number, or a list of them.
func Ints(text string) ([]int, error) {
	v, err := Parse(text)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]int, len(list))
	for i, v := range list {
		n, ok := v.(int64)
		if !ok || int64(int(n)) != n {
			return nil, fmt.Errorf("%w of whole numbers", ErrSyntax)
		}
		out[i] = int(n)
	}
	return out, nil
}
