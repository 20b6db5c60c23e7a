package health

import "github.com/prometheus/client_golang/prometheus"

// SpaceFigures are what is known of the disk.
type SpaceFigures struct {
	Level       int // 0 normal, 1 evict, 2 refuse, 3 stop
	Free, Total int64
	Refused     uint64 // uploads and renders
	Dropped     uint64 // writes of series

	FreeFiles, Files int64  // inodes
	ShortOf          string // bytes, files, quota or ""
	Queue            bool   // the work queue is open
}

// RegisterSpace registers the metrics of the disk: detectd_space_….
func RegisterSpace(reg prometheus.Registerer, figures func() SpaceFigures) error {
	gauge := func(name, help string, value func(SpaceFigures) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "detectd_space_" + name, Help: help},
			func() float64 { return value(figures()) })
	}
	counter := func(name, help string, value func(SpaceFigures) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "detectd_space_" + name, Help: help},
			func() float64 { return value(figures()) })
	}
	causes := []string{"bytes", "files", "quota"}
	collectors := append(make([]prometheus.Collector, 0, 3+len(causes)),
		gauge("free_files", "Inodes free on the disk of the data folder.", func(f SpaceFigures) float64 { return float64(f.FreeFiles) }),
		gauge("size_files", "Inodes of the disk of the data folder, 0 where they are made as needed.", func(f SpaceFigures) float64 { return float64(f.Files) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "detectd_work_queue_open", Help: "1 while the work queue takes work; it is closed on a disk that is nearly full.",
		}, func() float64 { return flag(figures().Queue) }),
	)
	for _, cause := range causes {
		collectors = append(collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "detectd_space_short", Help: "1 for what the level is about, when it is not normal.", ConstLabels: prometheus.Labels{"of": cause},
		}, func() float64 { return flag(figures().ShortOf == cause) }))
	}
	for _, c := range append(collectors,
		gauge("level", "How full the disk is: 0 normal, 1 old recordings go, 2 uploads are refused, 3 only records are written.",
			func(f SpaceFigures) float64 { return float64(f.Level) }),
		gauge("free_bytes", "Bytes free on the disk of the data folder.", func(f SpaceFigures) float64 { return float64(f.Free) }),
		gauge("size_bytes", "Size of the disk of the data folder.", func(f SpaceFigures) float64 { return float64(f.Total) }),
		counter("refused_total", "Uploads and renders refused since the disk was nearly full.", func(f SpaceFigures) float64 { return float64(f.Refused) }),
		counter("dropped_writes_total", "Writes of series dropped since the disk was nearly full.", func(f SpaceFigures) float64 { return float64(f.Dropped) }),
	) {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
