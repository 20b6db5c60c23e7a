package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"detectd/detect"
	"detectd/store"
	"detectd/web/api"
)

type modelsListCommand struct {
	Words []string `arg:"" optional:"" help:"Only versions with all of these in their model's name, description or tags (KEY=VALUE), their own aliases, tags, family or licence."`
	JSON  bool     `name:"json" help:"Print JSON."`
}

// Run lists the models.
func (c modelsListCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	return withBook(ctx, e, parent, func(b modelBook) error {
		models, err := b.List(ctx)
		if err != nil {
			return err
		}
		for i, m := range models {
			models[i].Versions = slices.DeleteFunc(m.Versions, func(v store.ModelVersion) bool { return !c.fits(m, v) })
		}
		if c.JSON {
			return printJSON(e.stdout, describeAll(models))
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "MODEL\tALIASES\tFAMILY\tSIZE\tLICENCE\tADDED\tDESCRIPTION")
		for _, m := range models {
			for _, v := range m.Versions {
				fmt.Fprintf(w, "%s@%d\t%s\t%s\t%.1f MB\t%s\t%s\t%s\n", m.Name, v.Version, strings.Join(v.Aliases, " "), v.Family,
					float64(v.Size)/1e6, v.Licence, v.CreatedAt.Local().Format(time.DateTime), m.Description)
			}
		}
		return w.Flush()
	})
}

// fits says whether all words occur in what is said of a version.
func (c modelsListCommand) fits(m store.Model, v store.ModelVersion) bool {
	text := strings.ToLower(strings.Join(append([]string{
		fmt.Sprintf("%s@%d", m.Name, v.Version), m.Description, v.Description, v.Family, v.Licence, tagText(m.Tags), tagText(v.Tags),
	}, v.Aliases...), " "))
	return !slices.ContainsFunc(c.Words, func(word string) bool { return !strings.Contains(text, strings.ToLower(word)) })
}

// tagText is tags as KEY=VALUE, by key.
func tagText(tags map[string]string) string {
	parts := make([]string, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		parts = append(parts, key+"="+tags[key])
	}
	return strings.Join(parts, ", ")
}

type modelsDiffCommand struct {
	From string `arg:"" help:"NAME@VERSION or NAME@ALIAS."`
	To   string `arg:"" help:"NAME@VERSION or NAME@ALIAS."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run prints what differs between two versions.
func (c modelsDiffCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	var refs [2]detect.Ref
	for i, text := range []string{c.From, c.To} {
		ref, err := detect.ParseRef(text)
		if err != nil {
			return usageError{err}
		}
		refs[i] = ref
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		models, err := b.List(ctx)
		if err != nil {
			return err
		}
		_, from, err := pick(models, refs[0])
		if err != nil {
			return err
		}
		_, to, err := pick(models, refs[1])
		if err != nil {
			return err
		}
		differences := api.Differences(from, to)
		if c.JSON {
			return printJSON(e.stdout, differences)
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "\t%s@%d\t%s@%d\n", from.Model, from.Version, to.Model, to.Version)
		for _, d := range differences {
			fmt.Fprintf(w, "%s\t%s\t%s\n", d.Field, cut(d.From), cut(d.To))
		}
		return w.Flush()
	})
}

// cut shortens a text for a column.
func cut(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:59]) + "…"
	}
	return text
}
