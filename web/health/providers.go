package health

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"detectd/pipeline"
)

// models knows the open models.
type models interface {
	Running() []pipeline.Running
}

// providerCollector reads what models run on when it is asked.
type providerCollector struct {
	models                              models
	provider, degraded, failures, moves *prometheus.Desc
}

var _ prometheus.Collector = (*providerCollector)(nil)

// ProviderCollector returns the metrics of the open models: detectd_model_….
func ProviderCollector(m models) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("detectd_model_"+name, help, append([]string{"model", "version"}, labels...), nil)
	}
	return &providerCollector{
		models:   m,
		provider: desc("provider", "1 for the execution provider that the model runs on.", "provider"),
		degraded: desc("degraded", "1 while the model runs on another provider than it should."),
		failures: desc("failed_runs_total", "Runs that ONNX Runtime or its provider failed."),
		moves:    desc("provider_moves_total", "How often a broken provider was left for the next one."),
	}
}

// Describe implements prometheus.Collector.
func (c *providerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.provider, c.degraded, c.failures, c.moves} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *providerCollector) Collect(ch chan<- prometheus.Metric) {
	seen := map[[2]string]bool{} // the same version may be open twice, with another contract
	for _, r := range c.models.Running() {
		version := strconv.Itoa(r.Version)
		key := [2]string{r.Model, version}
		if seen[key] {
			continue
		}
		seen[key] = true
		ch <- prometheus.MustNewConstMetric(c.provider, prometheus.GaugeValue, 1, r.Model, version, r.Provider)
		ch <- prometheus.MustNewConstMetric(c.degraded, prometheus.GaugeValue, flag(r.Degraded), r.Model, version)
		ch <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(r.Failures), r.Model, version)
		ch <- prometheus.MustNewConstMetric(c.moves, prometheus.CounterValue, float64(r.Moves), r.Model, version)
	}
}
