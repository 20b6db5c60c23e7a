package daemon

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"detectd/detect/provider"
	"detectd/pipeline/config"
	"detectd/store"
	"detectd/store/folder"
	"detectd/web/mlflow"
)

// Config is config.yaml: every key has a default, so no file is needed. What
// operators change at run time (cameras, clients, running models) is not here
// but in the data folder.
type Config struct {
	Listen       string   `yaml:"listen"`
	AllowedHosts []string `yaml:"allowed_hosts"`
	Data         string   `yaml:"data"`
	RequireMount bool     `yaml:"require_mount"`
	Demo         bool     `yaml:"demo"`

	Log     LogConfig     `yaml:"log"`
	Runtime RuntimeConfig `yaml:"runtime"`
	Sources SourcesConfig `yaml:"sources"`
	Decode  DecodeConfig  `yaml:"decode"`
	Detect  DetectConfig  `yaml:"detect"`
	Record  RecordConfig  `yaml:"record"`
	Keep    KeepConfig    `yaml:"keep"`
	Storage StorageConfig `yaml:"storage"`
	Space   SpaceConfig   `yaml:"space"`
	Upload  UploadConfig  `yaml:"upload"`
	MLflow  MLflowConfig  `yaml:"mlflow"`
}

// LogConfig is the section log.
type LogConfig struct {
	Level  string `yaml:"level" oneof:"debug info warn error"`
	Format string `yaml:"format" oneof:"text json"`
}

// RuntimeConfig is the section runtime.
type RuntimeConfig struct {
	Library string `yaml:"library"`
}

// SourcesConfig is the section sources.
type SourcesConfig struct {
	Folders     []string      `yaml:"folders"`
	DialTimeout time.Duration `yaml:"dial_timeout" min:"100ms" max:"1m"`
	ReadTimeout time.Duration `yaml:"read_timeout" min:"100ms" max:"5m"`
}

// DecodeConfig is the section decode.
type DecodeConfig struct {
	Hardware string `yaml:"hardware" oneof:"auto off nvdec"`
}

// DetectConfig is the section detect.
type DetectConfig struct {
	Model    string        `yaml:"model"`
	Provider string        `yaml:"provider"`
	Device   int           `yaml:"device" min:"0" max:"63"`
	Engines  string        `yaml:"engines"`
	FPS      float64       `yaml:"fps" min:"0.1" max:"60"`
	FastFPS  float64       `yaml:"fast_fps" min:"0" max:"60"`
	Idle     string        `yaml:"idle" oneof:"auto decode off"`
	Workers  int           `yaml:"workers" min:"0" max:"256"`
	MaxBatch int           `yaml:"max_batch" min:"1" max:"64"`
	MaxWait  time.Duration `yaml:"max_wait" min:"0s" max:"1s"`
}

// RecordConfig is the section record.
type RecordConfig struct {
	Segment  time.Duration `yaml:"segment" min:"1s" max:"10m"`
	MaxBytes int64         `yaml:"max_bytes" unit:"bytes" min:"0"`
	MaxAge   time.Duration `yaml:"max_age" min:"0s"`
	EventAge time.Duration `yaml:"event_age" min:"0s"`
	Reserve  int64         `yaml:"reserve" unit:"bytes" min:"0"`
	Before   time.Duration `yaml:"before" min:"0s" max:"10m"`
	After    time.Duration `yaml:"after" min:"0s" max:"10m"`
}

// KeepConfig is the section keep.
type KeepConfig struct {
	Annotations time.Duration `yaml:"annotations" min:"1h"`
	Tracks      time.Duration `yaml:"tracks" min:"0s"`
	Events      time.Duration `yaml:"events" min:"0s"`
	Reports     time.Duration `yaml:"reports" min:"0s"`
	Results     time.Duration `yaml:"results" min:"0s"`
	// ResultsBytes bounds the files of all results; 0 is no limit.
	ResultsBytes int64 `yaml:"results_bytes" unit:"bytes" min:"0"`
}

// StorageConfig is the section storage.
type StorageConfig struct {
	Blobs string `yaml:"blobs"`
}

// blobsFile is the value of storage.blobs with which they lie in the data folder.
const blobsFile = "file"

// BlobsURL is where the files of models, uploads and results are, see store/blob.
func (c Config) BlobsURL(f *folder.Folder) string {
	if c.Storage.Blobs == blobsFile {
		return f.BlobsURL()
	}
	return c.Storage.Blobs
}

// BlobsInBucket says whether they are outside of the data folder.
func (c Config) BlobsInBucket() bool { return c.Storage.Blobs != blobsFile }

// BlobsPlace is storage.blobs without the way to get there.
func (c Config) BlobsPlace() string {
	place, _, _ := strings.Cut(c.Storage.Blobs, "?")
	return place
}

// SpaceConfig is the section space: percent of the disk that is free.
type SpaceConfig struct {
	Evict  float64 `yaml:"evict" min:"1" max:"50"`
	Refuse float64 `yaml:"refuse" min:"0.5" max:"50"`
	Stop   float64 `yaml:"stop" min:"0.1" max:"50"`
	Most   int64   `yaml:"most" unit:"bytes" min:"0"`
}

// UploadConfig is the section upload.
type UploadConfig struct {
	PictureBytes  int64 `yaml:"picture_bytes" unit:"bytes" min:"1KiB" max:"1GiB"`
	PicturePixels int64 `yaml:"picture_pixels" min:"1" max:"500000000"`
	VideoBytes    int64 `yaml:"video_bytes" unit:"bytes" min:"1KiB"`
	VideoFrames   int   `yaml:"video_frames" min:"1"`
}

// MLflowConfig is the section mlflow: what its clients have to show.
type MLflowConfig struct {
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	Token    string `yaml:"token"`
}

func (c MLflowConfig) auth() mlflow.Auth {
	return mlflow.Auth{User: c.User, Password: store.Secret(c.Password), Token: store.Secret(c.Token)}
}

// DefaultConfig is what runs without a file.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:8420",
		Data:   "data",
		Demo:   true,
		Log:    LogConfig{Level: "info", Format: "text"},
		Sources: SourcesConfig{
			DialTimeout: 5 * time.Second,
			ReadTimeout: 10 * time.Second,
		},
		Decode: DecodeConfig{Hardware: hardwareAuto},
		Detect: DetectConfig{Model: "default", Provider: provider.Auto, FPS: 5, Idle: store.IdleAuto, MaxBatch: 8},
		Record: RecordConfig{
			Segment: 10 * time.Second, MaxBytes: 20 << 30, MaxAge: 7 * 24 * time.Hour, EventAge: 30 * 24 * time.Hour, Reserve: 2 << 30,
			Before: 5 * time.Second, After: 10 * time.Second,
		},
		Keep: KeepConfig{
			Annotations: 7 * 24 * time.Hour, Tracks: 90 * 24 * time.Hour, Events: 365 * 24 * time.Hour, Reports: 5 * 365 * 24 * time.Hour,
			Results: 90 * 24 * time.Hour, ResultsBytes: 20 << 30,
		},
		Storage: StorageConfig{Blobs: blobsFile},
		Space:   SpaceConfig{Evict: 10, Refuse: 5, Stop: 2, Most: 20 << 30},
		Upload: UploadConfig{
			PictureBytes: 32 << 20, PicturePixels: 64_000_000, VideoBytes: 2 << 30, VideoFrames: 30_000,
		},
	}
}

// Validate implements config.Validator.
func (c Config) Validate(report func(key, message string)) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		report("listen", fmt.Sprintf("%q is not HOST:PORT, such as 127.0.0.1:8420", c.Listen))
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		report("listen", fmt.Sprintf("port %q is not a number from 0 to 65535", port))
	} else if host != "localhost" && net.ParseIP(host) == nil {
		report("listen", fmt.Sprintf("%q is not an IP address or localhost", host))
	}
	if c.Storage.Blobs != blobsFile && !strings.HasPrefix(c.Storage.Blobs, "s3://") {
		report("storage.blobs", "must be file, or s3://BUCKET/PREFIX?endpoint=URL")
	}
	if c.Space.Evict < c.Space.Refuse || c.Space.Refuse < c.Space.Stop {
		report("space", "evict must not be less than refuse, nor refuse less than stop")
	}
	if (c.MLflow.User == "") != (c.MLflow.Password == "") {
		report("mlflow", "user and password go together")
	}
	if c.Data == "" {
		report("data", "must name a folder")
	}
	if _, err := provider.Parse(c.Detect.Provider); err != nil {
		report("detect.provider", err.Error())
	}
}

// LoadConfig reads a file over the defaults. An empty name gives the defaults.
// The error lists every fault, each with file, line and column.
func LoadConfig(file string) (Config, error) {
	cfg := DefaultConfig()
	if file == "" {
		return cfg, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return cfg, fmt.Errorf("read settings: %w", err)
	}
	return cfg, config.Decode(file, data, &cfg)
}
