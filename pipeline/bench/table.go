package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Write shows the report to people.
func (r Report) Write(w io.Writer) error {
	m := r.Machine
	fmt.Fprintf(w, "%s, %d cores, %.1f GiB; %s %s; libav %s, ONNX Runtime %s, OpenCV %s, %s; detectd %s\n",
		m.CPU, m.Cores, float64(m.MemoryBytes)/(1<<30), m.OS, m.Kernel, m.LibAV, m.ONNXRuntime, m.OpenCV, m.Go, m.Detectd)
	s := r.Settings
	fmt.Fprintf(w, "%d cameras: %s; %g detections per second each; %d rounds of %g s\n", s.Cameras, s.Video, s.Hz, s.Rounds, s.MeasureSeconds)
	if s.Short {
		fmt.Fprintln(w, "This is the short form: too little was measured for figures to quote.")
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tvalue\tbar\t\tmin … max (samples)\t")
	for _, m := range r.Metrics {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.value(), m.bar(), m.mark(), m.spread(), m.Name)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range r.Metrics {
		if text := strings.TrimSpace(m.Reason + " " + m.Note); text != "" {
			fmt.Fprintf(w, "%s: %s\n", m.ID, text)
		}
	}
	if r.Capacity != nil {
		fmt.Fprintf(w, "\n%s\n", r.Capacity.Sentence)
	}
	return nil
}

func (m Metric) value() string {
	if m.Value == nil {
		return "not measured"
	}
	return strings.TrimSpace(number(*m.Value) + " " + m.Unit)
}

func (m Metric) bar() string {
	if m.Bar == nil {
		return ""
	}
	return fmt.Sprintf("%s %g", map[string]string{most: "≤", least: "≥"}[m.Sense], *m.Bar)
}

func (m Metric) mark() string {
	switch {
	case m.Pass == nil:
		return ""
	case *m.Pass:
		return "pass"
	default:
		return "FAIL"
	}
}

func (m Metric) spread() string {
	switch len(m.Samples) {
	case 0:
		return ""
	case 1:
		return "(1)"
	}
	return fmt.Sprintf("%s … %s (%d)", number(m.Min), number(m.Max), len(m.Samples))
}

// number writes three digits that count, and none of them as a power of ten.
func number(v float64) string {
	switch a := max(v, -v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
