package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sizes are what a daemon holds. Goroutines, files and memory of its own must not
// grow while it runs. What it keeps on the disk does: Badger has its tables open
// and mapped, and the pages of a file belong to the kernel, which takes them back.
type sizes struct{ goroutines, files, kib, tables, mapped int64 }

// String implements fmt.Stringer.
func (s sizes) String() string {
	return fmt.Sprintf("%d goroutines, %d files and %d of Badger, %.1f MiB of its own and %.1f MiB of files",
		s.goroutines, s.files, s.tables, float64(s.kib)/1024, float64(s.mapped)/1024)
}

// sample is the size of a daemon at some time of its life.
type sample struct {
	at time.Duration
	sizes
}

// growth is how one of the sizes went over the samples.
type growth struct {
	name         string
	begin, end   float64 // medians of the first and of the last third
	least, most  int64
	hour         float64 // growth in an hour by the median of all slopes (Theil and Sen)
	allowed, per float64 // what the end may be above the begin: so much, and so much of it
}

// flat says that the end is not above the begin. A median of many samples does
// not see a connection more or less at the moment of one of them, nor a fault.
func (g growth) flat() bool { return g.end <= g.begin+g.allowed+g.per*g.begin }

// String implements fmt.Stringer.
func (g growth) String() string {
	return fmt.Sprintf("%s: median of the first third %.0f, of the last %.0f (%d to %d), slope %+.1f an hour", g.name, g.begin, g.end, g.least, g.most, g.hour)
}

// growths judges the samples of one daemon, of which there are three at least.
func growths(all []sample) []growth {
	out := make([]growth, 0, 3)
	for _, of := range []struct {
		growth
		value func(sizes) int64
	}{
		{growth{name: "goroutines", allowed: 2, per: 0.02}, func(s sizes) int64 { return s.goroutines }},
		{growth{name: "files", allowed: 2, per: 0.02}, func(s sizes) int64 { return s.files }},
		{growth{name: "KiB of memory", per: 0.05}, func(s sizes) int64 { return s.kib }},
	} {
		g, values, slopes := of.growth, make([]float64, len(all)), []float64(nil)
		for i, s := range all {
			values[i] = float64(of.value(s.sizes))
			for j, earlier := range all[:i] {
				slopes = append(slopes, (values[i]-values[j])/(s.at-earlier.at).Hours())
			}
		}
		third := len(all) / 3
		g.begin, g.end, g.hour = median(values[:third]), median(values[len(all)-third:]), median(slopes)
		g.least, g.most = int64(slices.Min(values)), int64(slices.Max(values))
		out = append(out, g)
	}
	return out
}

func median[T cmp.Ordered](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// TestGrowthIsSeen judges daemons of which it is known whether they grow.
func TestGrowthIsSeen(t *testing.T) {
	made := func(grow sizes, every int) []sample {
		var all []sample
		for i := range int64(90) {
			s := sizes{goroutines: 200 + i%3, files: 80 + i%2, kib: 150_000 + i%7*500, tables: i, mapped: 1000 * i}
			if i%int64(every) == 0 { // a fault at the moment of the sample
				s.goroutines, s.files, s.kib = s.goroutines+40, s.files+20, s.kib+20_000
			}
			s.goroutines, s.files, s.kib = s.goroutines+grow.goroutines*i, s.files+grow.files*i, s.kib+grow.kib*i
			all = append(all, sample{time.Duration(i) * 30 * time.Second, s})
		}
		return all
	}
	for name, c := range map[string]struct {
		grow sizes
		flat []bool
	}{
		"nothing grows":           {sizes{}, []bool{true, true, true}},
		"a goroutine a fault":     {sizes{goroutines: 1}, []bool{false, true, true}},
		"a file a fault":          {sizes{files: 1}, []bool{true, false, true}},
		"200 KiB of memory":       {sizes{kib: 200}, []bool{true, true, false}},
		"memory is given back":    {sizes{kib: -200}, []bool{true, true, true}},
		"everything a little bit": {sizes{goroutines: 1, files: 1, kib: 300}, []bool{false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, g := range growths(made(c.grow, 5)) {
				require.Equal(t, c.flat[i], g.flat(), g)
			}
		})
	}
}
