package cli

import (
	"errors"
	"path/filepath"

	"detectd/detect/eval"
)

// alternate deals a list out: every second item to each side.
func alternate(list []string) (first, second []string) {
	for i, item := range list {
		if i%2 == 0 {
			first = append(first, item)
		} else {
			second = append(second, item)
		}
	}
	return first, second
}

// holdOut deals the pictures and what is in them out: one half calibrates and chooses
// what goes back to floats, the other only judges.
func (q *quantizer) holdOut() error {
	files, judges := alternate(q.files)
	if len(judges) == 0 {
		return errors.New("--held-out needs two pictures at least")
	}
	q.files = files
	known := make(map[string]bool, len(q.files))
	for _, path := range q.files {
		known[filepath.Base(path)] = true
	}
	q.choice, q.dataset = split(q.dataset, known)
	if len(q.choice.Annotations) == 0 || len(q.dataset.Annotations) == 0 {
		return errors.New("--held-out: one half of the pictures holds no object; give more pictures")
	}
	q.out.HeldOut, q.out.Images = true, len(q.dataset.Images)
	return nil
}

// split parts a data set into the pictures in the folder that are named, and the others.
func split(d *eval.Dataset, named map[string]bool) (in, out *eval.Dataset) {
	in, out = &eval.Dataset{Categories: d.Categories}, &eval.Dataset{Categories: d.Categories}
	inside := map[int64]bool{}
	for _, image := range d.Images {
		if named[filepath.Clean(image.FileName)] {
			inside[image.ID] = true
			in.Images = append(in.Images, image)
		} else {
			out.Images = append(out.Images, image)
		}
	}
	for _, a := range d.Annotations {
		if inside[a.ImageID] {
			in.Annotations = append(in.Annotations, a)
		} else {
			out.Annotations = append(out.Annotations, a)
		}
	}
	return in, out
}
