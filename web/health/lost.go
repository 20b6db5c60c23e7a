package health

import "github.com/prometheus/client_golang/prometheus"

// RegisterLost registers detectd_lost_total: what was given up behind the cameras, by
// place. Each function counts since the start.
func RegisterLost(reg prometheus.Registerer, places map[string]func() uint64) error {
	for place, count := range places {
		err := reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "detectd_lost_total", ConstLabels: prometheus.Labels{"place": place},
			Help: "What was given up behind the cameras: announcements (publish, subscriber), events for open pages (page), figures of inferences and reports (report).",
		}, func() float64 { return float64(count()) }))
		if err != nil {
			return err
		}
	}
	return nil
}
