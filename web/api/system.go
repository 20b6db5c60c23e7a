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
	Version      string      `json:"version" example:"0.1.0" doc:"Version of detectd."`
	StartedAt    Time        `json:"started_at" doc:"When it was started."`
	UptimeS      int64       `json:"uptime_s" example:"3600" doc:"Seconds since then."`
	Listen       string      `json:"listen" example:"127.0.0.1:8080" doc:"Address of the page."`
	Data         Disk        `json:"data" doc:"The data folder."`
	MediaBytes   int64       `json:"media_bytes" doc:"Size of all recordings."`
	CPUs         int         `json:"cpus" example:"8" doc:"Processors it may use."`
	MemoryBytes  int64       `json:"memory_bytes" doc:"Memory of the process."`
	Goroutines   int         `json:"goroutines" doc:"Goroutines of the process."`
	ONNXRuntime  string      `json:"onnxruntime" example:"1.30.0" doc:"Version of ONNX Runtime."`
	Degraded     string      `json:"degraded,omitempty" doc:"Why detection runs from a copy of its records, and nothing can be changed; absent when all is well."`
	Provider     string      `json:"provider" example:"cpu" doc:"What ONNX Runtime runs on."`
	Running      []RunningOn `json:"running" nullable:"false" doc:"The open models and what each runs on."`
	LibAV        string      `json:"libav" doc:"Version of libavcodec."`
	OpenCV       string      `json:"opencv" doc:"Version of OpenCV."`
	ModelDefault string      `json:"model_default" example:"default@1" doc:"The model that runs where none is set."`
	Space        Space       `json:"space" doc:"How full the disk is, and what that does."`
	NotIncluded  []string    `json:"not_included" nullable:"false" doc:"What has its place and is not part of this version."`
}

// RunningOn is what an open model runs on.
type RunningOn struct {
	Model    string   `json:"model" example:"default" doc:"The model."`
	Version  int      `json:"version" example:"1" doc:"Its version."`
	Provider string   `json:"provider" example:"cuda" doc:"The execution provider in use: cpu, cuda, tensorrt or openvino."`
	Degraded bool     `json:"degraded" doc:"Whether a provider that was asked for, or one that had worked, does not work."`
	Reason   string   `json:"reason,omitempty" doc:"Which, and why."`
	Refused  []string `json:"refused" nullable:"false" doc:"Providers that were passed over, each with the reason."`
	Failures uint64   `json:"failures" doc:"Runs that the runtime failed."`
	Moves    uint64   `json:"moves" doc:"How often a broken provider was left for the next one."`
	Trial    string   `json:"trial,omitempty" example:"9.6 ms of CPU time a picture, 11.9 ms with the CPU provider" doc:"How OpenVINO and the CPU did with this model when the choice was automatic."`
}

// Disk is a folder and the space of its file system.
type Disk struct {
	Path       string `json:"path" doc:"The folder."`
	FreeBytes  int64  `json:"free_bytes" doc:"Free space."`
	TotalBytes int64  `json:"total_bytes" doc:"Size of the file system."`
}

// Space is how full the disk is.
type Space struct {
	Level       string `json:"level" enum:"normal,evict,refuse,stop" doc:"evict: the oldest recordings go. refuse: uploads and renders are refused, series are dropped. stop: nothing but records is written."`
	ShortOf     string `json:"short_of" doc:"What there is too little of: bytes, files (inodes), or what a quota leaves this user; empty while it is normal."`
	FreeFiles   int64  `json:"free_files" doc:"Files that can still be made (inodes)."`
	TotalFiles  int64  `json:"total_files" doc:"Inodes of the file system, 0 where it makes them as needed."`
	Queue       bool   `json:"work_queue" doc:"Whether the work queue takes work: it is closed from refuse on, and when its files have failed."`
	EvictBelow  int64  `json:"evict_below_bytes" doc:"Free bytes below which it is evict."`
	RefuseBelow int64  `json:"refuse_below_bytes" doc:"Free bytes below which it is refuse."`
	StopBelow   int64  `json:"stop_below_bytes" doc:"Free bytes below which it is stop."`
	Reserve     int64  `json:"reserve_bytes" doc:"Kept for records when nothing else may be written."`
	Refused     uint64 `json:"refused" doc:"Uploads and renders refused since the start."`
	Dropped     uint64 `json:"dropped_writes" doc:"Writes of series dropped since the start."`
}

func (s *server) routeSystem() {
	huma.Register(s.huma, operation(http.MethodGet, "/system", "get-system", "System",
		"Get the system's condition", "Versions, space, memory, and what this version does not include."), s.getSystem)
}

func (s *server) getSystem(ctx context.Context, _ *struct{}) (*answered[SystemView], error) {
	i := s.System.Info(ctx)
	running := make([]RunningOn, 0, len(i.Running))
	for _, r := range i.Running {
		r.Refused = append([]string{}, r.Refused...)
		running = append(running, RunningOn(r))
	}
	return &answered[SystemView]{Body: SystemView{
		Version: i.Version, StartedAt: Time{i.StartedAt}, UptimeS: int64(time.Since(i.StartedAt).Seconds()), Listen: i.Listen,
		Data:       Disk{Path: i.DataPath, FreeBytes: i.FreeBytes, TotalBytes: i.TotalBytes},
		MediaBytes: i.MediaBytes, CPUs: runtime.GOMAXPROCS(0), MemoryBytes: i.MemoryBytes, Goroutines: runtime.NumGoroutine(),
		ONNXRuntime: i.ONNXRuntime, Degraded: i.Degraded, Provider: i.Provider, Running: running, LibAV: i.LibAV, OpenCV: i.OpenCV, ModelDefault: i.DefaultModel,
		Space:       Space{i.Space.Level, i.Space.ShortOf, i.Space.FreeFiles, i.Space.TotalFiles, i.Space.Queue, i.Space.EvictBelow, i.Space.RefuseBelow, i.Space.StopBelow, i.Space.ReserveBytes, i.Space.Refused, i.Space.Dropped},
		NotIncluded: append(later(), "sound in the live view", "access control: loopback only"),
	}}, nil
}
