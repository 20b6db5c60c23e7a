package eval

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ReadResults reads detections in COCO's results form, a JSON list.
func ReadResults(r io.Reader) ([]Result, error) {
	var out []Result
	in := &reader{decoder: json.NewDecoder(r)}
	err := each(in, "results", func(v result) error {
		if err := cmp.Or(v.ImageID.check(), v.CategoryID.check()); err != nil {
			return err
		}
		if v.Score == nil {
			return errors.New("the score is missing")
		}
		b, err := v.Box.four()
		out = append(out, Result{ImageID: v.ImageID.value, CategoryID: v.CategoryID.value, Box: b, Score: *v.Score})
		return err
	})
	if err == nil {
		err = in.end()
	}
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	return out, nil
}

// result is a Result as it stands in the file.
type result struct {
	ImageID    id       `json:"image_id"`
	CategoryID id       `json:"category_id"`
	Box        box      `json:"bbox"`
	Score      *float64 `json:"score"`
}

// id is a whole number that must be there.
type id struct {
	value int64
	given bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *id) UnmarshalJSON(text []byte) error {
	value, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("an id must be a whole number (got %.20s)", text)
	}
	*i = id{value: value, given: true}
	return nil
}

func (i id) check() error {
	if !i.given {
		return errors.New("an id is missing")
	}
	return nil
}

// box is a list of numbers that should be four.
type box []float64

func (b box) four() (out [4]float64, err error) {
	if len(b) != len(out) {
		return out, fmt.Errorf("bbox has %d numbers instead of 4", len(b))
	}
	copy(out[:], b)
	return out, checkBox(out)
}

// flag is 0, 1, false or true.
type flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case "0", "false", "null":
		*f = false
	case "1", "true":
		*f = true
	default:
		return fmt.Errorf("iscrowd must be 0 or 1 (got %.20s)", text)
	}
	return nil
}

// reader walks through a JSON file without holding all of it: the outlines make
// annotation files hundreds of megabytes long.
type reader struct{ decoder *json.Decoder }

// delim reads one of the brackets.
func (r *reader) delim(want json.Delim, what string) error {
	token, err := r.decoder.Token()
	if err != nil {
		return readable(err)
	}
	if token != want {
		return fmt.Errorf("%s must begin with %s", what, want)
	}
	return nil
}

// object reads the whole file as one object. Keys without a reader are skipped.
func (r *reader) object(keys map[string]func() error) error {
	if err := r.delim('{', "the file"); err != nil {
		return err
	}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return readable(err)
		}
		key, _ := token.(string) // the decoder takes no other
		if read, ok := keys[key]; ok {
			err = read()
		} else {
			var skipped json.RawMessage
			err = readable(r.decoder.Decode(&skipped))
		}
		if err != nil {
			return err
		}
	}
	if _, err := r.decoder.Token(); err != nil {
		return readable(err)
	}
	return r.end()
}

// end makes sure that nothing follows.
func (r *reader) end() error {
	switch _, err := r.decoder.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return readable(err)
	}
	return errors.New("something follows the end of the JSON")
}

// each reads a list called name, one element after the other.
func each[T any](r *reader, name string, use func(T) error) error {
	if err := r.delim('[', name); err != nil {
		return err
	}
	for i := 0; r.decoder.More(); i++ {
		var v T
		err := readable(r.decoder.Decode(&v))
		if err == nil {
			err = use(v)
		}
		if err != nil {
			return fmt.Errorf("%s[%d]: %w", name, i, err)
		}
	}
	_, err := r.decoder.Token()
	return readable(err)
}

// readable gives a decoder's error words for people.
func readable(err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON is cut off")
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s cannot be a %s", kind.Field, kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("it cannot be a %s", kind.Value)
	}
	return err
}
