package mlflow

import (
	"regexp"
	"strconv"
	"strings"

	"detectd/store"
)

// names translate what filters call a field to a field of a search. "tag.",
// "param." and "metric." stand for the fields that take a key.
type names map[string]string

// promptTag marks what MLflow keeps prompts under; clients ask to leave those out.
const promptTag = "mlflow.prompt.is_prompt"

// filter reads MLflow's filter language: comparisons joined by AND.
func (n names) filter(text string) ([]store.Term, error) {
	rest := strings.TrimSpace(text)
	var terms []store.Term
	for rest != "" {
		m := comparison.FindStringSubmatch(rest)
		if m == nil {
			return nil, invalid("filter %.200q: cannot be read at %.60q; comparisons joined by AND are understood", text, rest)
		}
		field, key, err := n.field(m[1])
		if err != nil {
			return nil, err
		}
		t := store.Term{Field: field, Key: key, Op: strings.Join(strings.Fields(strings.ToUpper(m[2])), " ")}
		if t.Op == "<>" {
			t.Op = "!="
		}
		value := m[3]
		list := strings.HasPrefix(value, "(")
		if list != strings.HasSuffix(t.Op, "IN") {
			return nil, invalid("filter %.200q: IN takes a list in parentheses, and nothing else does", text)
		}
		if list {
			all := []string{}
			for _, v := range literal.FindAllString(value[1:len(value)-1], -1) {
				all = append(all, unquote(v))
			}
			t.Value = all
		} else if f, err := strconv.ParseFloat(value, 64); err == nil {
			t.Value = f
		} else {
			t.Value = unquote(value)
		}
		if key != promptTag || t.Op != "!=" { // nothing here is a prompt
			terms = append(terms, t)
		}
		rest = strings.TrimSpace(rest[len(m[0]):])
		if rest == "" {
			break
		}
		and := conjunction.FindString(rest)
		if and == "" || strings.TrimSpace(rest[len(and):]) == "" {
			return nil, invalid("filter %.200q: comparisons are joined by AND", text)
		}
		rest = rest[len(and):]
	}
	return terms, nil
}

const (
	quoted     = `'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"`
	identifier = `[\w./-]+(?:\x60[^\x60]+\x60|"[^"]+")?|\x60[^\x60]+\x60`
	numeral    = `[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`
)

var (
	comparison = regexp.MustCompile(`^(` + identifier + `)\s*(=|!=|<>|<=|>=|<|>|(?i:\bLIKE\b|\bILIKE\b|\bNOT\s+IN\b|\bIN\b))\s*(` +
		quoted + `|` + numeral + `|\(\s*(?:` + quoted + `)(?:\s*,\s*(?:` + quoted + `))*\s*,?\s*\))`)
	literal     = regexp.MustCompile(quoted)
	conjunction = regexp.MustCompile(`^(?i:AND)\s+`)
)

func unquote(s string) string {
	if len(s) < 2 {
		return s
	}
	return strings.NewReplacer(`\'`, `'`, `\"`, `"`, `\\`, `\`).Replace(s[1 : len(s)-1])
}

// field translates an identifier of a filter or an order.
func (n names) field(id string) (field, key string, err error) {
	bare := strings.Trim(id, "`\"")
	for _, prefix := range []string{"attributes.", "attribute.", "attr.", "run."} {
		bare = strings.TrimPrefix(bare, prefix)
	}
	bare = strings.Trim(bare, "`\"")
	if field, ok := n[bare]; ok {
		return field, "", nil
	}
	group, key, dotted := strings.Cut(id, ".")
	kind := strings.TrimSuffix(group, "s")
	if kind == "parameter" {
		kind = "param"
	}
	if field, ok := n[kind+"."]; ok && dotted {
		return field, strings.Trim(key, "`\""), nil
	}
	known := make([]string, 0, len(n))
	for name := range n {
		known = append(known, name)
	}
	return "", "", invalid("there is no field %.60q here; known are %s", id, strings.Join(sorted(known), ", "))
}

// order reads a list of "FIELD [ASC|DESC]".
func (n names) order(clauses []string) ([]store.Order, error) {
	var out []store.Order
	for _, c := range clauses {
		words := strings.Fields(c)
		if len(words) == 0 {
			continue
		}
		o := store.Order{}
		switch last := strings.ToUpper(words[len(words)-1]); {
		case len(words) > 1 && last == "DESC":
			o.Desc = true
			fallthrough
		case len(words) > 1 && last == "ASC":
			words = words[:len(words)-1]
		}
		var err error
		if o.Field, o.Key, err = n.field(strings.Join(words, " ")); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// search reads filter, order and page of a request.
func (n names) search(in params, filter string, standard, most int) (q store.Search, err error) {
	if q.Terms, err = n.filter(in.str(filter)); err != nil {
		return q, err
	}
	if q.Order, err = n.order(in.list("order_by")); err != nil {
		return q, err
	}
	return q, in.page(&q, standard, most)
}
