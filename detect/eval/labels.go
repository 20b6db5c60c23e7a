package eval

import (
	"fmt"
	"strings"
)

// Mapping says which category of a data set each label of a model means.
type Mapping struct {
	// IDs holds the category's id by label; labels without one are missing.
	IDs map[string]int64
	// Labels are those of the model that are no category, in the model's order.
	Labels []string
	// Categories are the names of those that the model cannot find, in the data
	// set's order.
	Categories []string
}

// Map finds the categories of a model's labels by their names, in which upper
// and lower case and spaces around do not matter. It refuses a data set two of
// whose categories have the same name.
func Map(labels []string, categories []Category) (Mapping, error) {
	m := Mapping{IDs: map[string]int64{}}
	byName := make(map[string]Category, len(categories))
	for _, c := range categories {
		name := fold(c.Name)
		if other, ok := byName[name]; ok {
			return m, fmt.Errorf("categories %d and %d are both called %q", other.ID, c.ID, c.Name)
		}
		byName[name] = c
	}
	known := map[string]bool{}
	for _, label := range labels {
		known[fold(label)] = true
		if c, ok := byName[fold(label)]; ok {
			m.IDs[label] = c.ID
		} else {
			m.Labels = append(m.Labels, label)
		}
	}
	for _, c := range categories {
		if !known[fold(c.Name)] {
			m.Categories = append(m.Categories, c.Name)
		}
	}
	return m, nil
}

func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
