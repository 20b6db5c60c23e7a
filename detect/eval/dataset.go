package eval

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Dataset is what people have marked in pictures, COCO's instances JSON.
type Dataset struct {
	Images      []Image
	Categories  []Category
	Annotations []Annotation
}

// Image is a picture of a data set.
type Image struct {
	ID       int64
	FileName string
	Width    int // pixels; 0 when not told
	Height   int
}

// Category is a class of objects.
type Category struct {
	ID   int64
	Name string
}

// Annotation is one object, or a crowd of objects, in a picture.
type Annotation struct {
	ID         int64
	ImageID    int64
	CategoryID int64
	Box        [4]float64 // x, y, width, height in pixels, from the top left corner
	Area       float64    // square pixels: of the outline where there is one, else of the box
	Crowd      bool
}

// ReadDataset reads COCO's instances JSON, without the outlines, and checks it:
// ids are there once, annotations belong to a picture and a category. An
// annotation without area has that of its box.
func ReadDataset(r io.Reader) (*Dataset, error) {
	d := &Dataset{}
	in := &reader{decoder: json.NewDecoder(r)}
	err := in.object(map[string]func() error{
		"images": func() error {
			return each(in, "images", func(i image) error {
				d.Images = append(d.Images, Image{i.ID.value, i.FileName, i.Width, i.Height})
				return i.ID.check()
			})
		},
		"categories": func() error {
			return each(in, "categories", func(c category) error {
				d.Categories = append(d.Categories, Category{c.ID.value, c.Name})
				return c.ID.check()
			})
		},
		"annotations": func() error {
			return each(in, "annotations", func(a annotation) error {
				full, err := a.full()
				d.Annotations = append(d.Annotations, full)
				return err
			})
		},
	})
	if err != nil {
		return nil, fmt.Errorf("read annotations: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("read annotations: %w", err)
	}
	return d, nil
}

// image, category and annotation are as they stand in the file.
type image struct {
	ID       id     `json:"id"`
	FileName string `json:"file_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
}

type category struct {
	ID   id     `json:"id"`
	Name string `json:"name"`
}

type annotation struct {
	ID         id       `json:"id"`
	ImageID    id       `json:"image_id"`
	CategoryID id       `json:"category_id"`
	Box        box      `json:"bbox"`
	Area       *float64 `json:"area"`
	Crowd      flag     `json:"iscrowd"`
}

func (a annotation) full() (Annotation, error) {
	full := Annotation{ID: a.ID.value, ImageID: a.ImageID.value, CategoryID: a.CategoryID.value, Crowd: bool(a.Crowd)}
	err := cmp.Or(a.ID.check(), a.ImageID.check(), a.CategoryID.check())
	if err != nil {
		return full, err
	}
	if full.Box, err = a.Box.four(); err != nil {
		return full, err
	}
	full.Area = full.Box[2] * full.Box[3]
	if a.Area != nil {
		full.Area = *a.Area
	}
	return full, nil
}

// check finds what does not fit together.
func (d *Dataset) check() error {
	var m mistakes
	images, categories := map[int64]bool{}, map[int64]bool{}
	for i, image := range d.Images {
		if images[image.ID] {
			m.add("images[%d]: id %d is there twice", i, image.ID)
		}
		images[image.ID] = true
	}
	for i, c := range d.Categories {
		if categories[c.ID] {
			m.add("categories[%d]: id %d is there twice", i, c.ID)
		}
		categories[c.ID] = true
	}
	annotations := make(map[int64]bool, len(d.Annotations))
	for i, a := range d.Annotations {
		switch {
		case annotations[a.ID]:
			m.add("annotations[%d]: id %d is there twice", i, a.ID)
		case !images[a.ImageID]:
			m.add("annotations[%d]: there is no image %d", i, a.ImageID)
		case !categories[a.CategoryID]:
			m.add("annotations[%d]: there is no category %d", i, a.CategoryID)
		}
		annotations[a.ID] = true
	}
	switch {
	case len(d.Images) == 0:
		m.add("there are no images")
	case len(d.Categories) == 0:
		m.add("there are no categories")
	}
	return m.err()
}

// mistakes keeps the first one and counts the others.
type mistakes struct {
	first string
	count int
}

func (m *mistakes) add(format string, args ...any) {
	if m.count++; m.count == 1 {
		m.first = fmt.Sprintf(format, args...)
	}
}

func (m *mistakes) err() error {
	switch m.count {
	case 0:
		return nil
	case 1:
		return errors.New(m.first)
	}
	return fmt.Errorf("%s (and %d more)", m.first, m.count-1)
}
