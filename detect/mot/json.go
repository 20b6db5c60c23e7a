package mot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Sequence is a named sequence, as Run reads it.
type Sequence struct {
	Name   string  `json:"name"`
	Frames []Frame `json:"frames"`
}

// Report is what Run writes.
type Report struct {
	Sequences map[string]Result `json:"sequences"`
	Combined  Result            `json:"combined"`
}

// Run reads {"sequences":[{"name":…,"frames":[{"truth":[{"id":…,"class":…,"box":
// [x,y,w,h]}],"found":[…]}]}]}, scores each sequence and all of them combined, and
// writes a Report. Programs in other languages use the package through it.
func Run(r io.Reader, w io.Writer) error {
	var in struct {
		Sequences []Sequence `json:"sequences"`
	}
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf("read sequences: %w", err)
	}
	if len(in.Sequences) == 0 {
		return errors.New("read sequences: there are none")
	}
	out := Report{Sequences: map[string]Result{}}
	var all []Result
	for i, s := range in.Sequences {
		if _, twice := out.Sequences[s.Name]; twice {
			return fmt.Errorf("sequence %d: the name %q occurs twice", i, s.Name)
		}
		result, err := Evaluate(s.Frames)
		if err != nil {
			return fmt.Errorf("sequence %q: %w", s.Name, err)
		}
		out.Sequences[s.Name] = result
		all = append(all, result)
	}
	out.Combined = Combine(all...)
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(out)
}
