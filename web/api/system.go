package api

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// SystemView is the condition of the daemon and its machine.
type SystemView struct {
	Version      string   `json:"version" example:"0.1.0" doc:"Version of detectd."`
	StartedAt    Time     `json:"started_at" doc:"When it was started."`
	UptimeS      int64    `json:"uptime_s" example:"3600" doc:"Seconds since then."`
	Listen       string   `json:"listen" example:"127.0.0.1:8080" doc:"Address of the page."`
	Data         Disk     `json:"data" doc:"The data folder."`
	MediaBytes   int64    `json:"media_bytes" doc:"Size of all recordings."`
	CPUs         int      `json:"cpus" example:"8" doc:"Processors it may use."`
	MemoryBytes  int64    `json:"memory_bytes" doc:"Memory of the process."`
	Goroutines   int      `json:"goroutines" doc:"Goroutines of the process."`
	ONNXRuntime  string   `json:"onnxruntime" example:"1.30.0" doc:"Version of ONNX Runtime."`
	Provider     string   `json:"provider" example:"cpu" doc:"What ONNX Runtime runs on."`
	LibAV        string   `json:"libav" doc:"Version of libavcodec."`
	OpenCV       string   `json:"opencv" doc:"Version of OpenCV."`
	ModelDefault string   `json:"model_default" example:"default@1" doc:"The model that runs where none is set."`
	NotIncluded  []string `json:"not_included" nullable:"false" doc:"What has its place and is not part of this version."`
}

// Disk is a folder and the space of its file system.
type Disk struct {
	Path       string `json:"path" doc:"The folder."`
	FreeBytes  int64  `json:"free_bytes" doc:"Free space."`
	TotalBytes int64  `json:"total_bytes" doc:"Size of the file system."`
}

func (s *server) routeSystem() {
	huma.Register(s.huma, operation(http.MethodGet, "/system", "get-system", "System",
		"Get the system's condition", "Versions, space, memory, and what this version does not include."), s.getSystem)
}

func (s *server) getSystem(ctx context.Context, _ *struct{}) (*answered[SystemView], error) {
	i := s.System.Info(ctx)
	return &answered[SystemView]{Body: SystemView{
		Version: i.Version, StartedAt: Time{i.StartedAt}, UptimeS: int64(time.Since(i.StartedAt).Seconds()), Listen: i.Listen,
		Data:       Disk{Path: i.DataPath, FreeBytes: i.FreeBytes, TotalBytes: i.TotalBytes},
		MediaBytes: i.MediaBytes, CPUs: runtime.GOMAXPROCS(0), MemoryBytes: i.MemoryBytes, Goroutines: runtime.NumGoroutine(),
		ONNXRuntime: i.ONNXRuntime, Provider: i.Provider, LibAV: i.LibAV, OpenCV: i.OpenCV, ModelDefault: i.DefaultModel,
		NotIncluded: append(later(), "access control: loopback only"),
	}}, nil
}
