package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"detectd/pipeline"
	"detectd/pipeline/source/file"
	"detectd/pipeline/source/rtsp"
	"detectd/store"
	"detectd/web/api"
)

var errNotAllowed = errors.New("files can be cameras only below the folders that sources.folders in the settings lists, or when named on the command line: detectd run FILE")

// sources opens cameras by the scheme of their URL. A new kind of source is one
// row in open.
type sources struct {
	cfg SourcesConfig
	log *slog.Logger

	mu      sync.RWMutex // guards allowed
	allowed map[string]bool
}

func newSources(cfg SourcesConfig, log *slog.Logger) *sources {
	return &sources{cfg: cfg, log: log, allowed: map[string]bool{}}
}

// allow accepts a file as a camera that lies outside of the configured folders.
func (s *sources) allow(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed[path] = true
}

// Open returns the source of a camera.
func (s *sources) Open(c store.Camera) (pipeline.Source, error) {
	scheme, rest, found := strings.Cut(c.URL, "://")
	if !found {
		scheme = "file"
	}
	switch scheme {
	case "rtsp", "rtsps":
		return rtsp.New(rtsp.Config{
			URL: c.URL, Username: c.Username, Password: string(c.Password), Transport: rtsp.Transport(c.Transport),
			DialTimeout: s.cfg.DialTimeout, ReadTimeout: s.cfg.ReadTimeout, VideoTimeout: s.cfg.ReadTimeout,
			NoSound: !hears(c), Logger: s.log.With("camera", c.ID),
		})
	case "file":
		return file.New(file.Config{Path: rest, Realtime: true, Loop: c.Loop, NoSound: !hears(c)})
	default:
		return nil, &pipeline.SourceError{
			State:  pipeline.StateBadURL,
			Reason: fmt.Sprintf("%s:// is not a kind of camera that detectd takes; use rtsp://, rtsps:// or file://", scheme),
		}
	}
}

// hears says that the camera's sound has a use. Where it has none, it is not even
// asked for.
func hears(c store.Camera) bool { return !c.NoAudio && c.Record != store.RecordOff }

// ValidateURL implements api.Cameras.
func (s *sources) ValidateURL(raw string) (api.CameraURL, error) {
	raw = strings.TrimSpace(raw)
	if strings.HasPrefix(raw, "file:") || strings.HasPrefix(raw, "/") {
		path, err := s.validateFile(raw)
		return api.CameraURL{URL: path}, err
	}
	clean, user, password, err := rtsp.ParseURL(raw)
	if err != nil {
		_, reason := pipeline.StateOf(err)
		return api.CameraURL{}, ofKind(api.ErrInvalid, errors.New(reason))
	}
	return api.CameraURL{URL: clean, Username: user, Password: store.Secret(password)}, nil
}

// validateFile answers with file:// and the path, links resolved.
func (s *sources) validateFile(raw string) (string, error) {
	path := raw
	if strings.HasPrefix(raw, "file:") {
		u, err := url.Parse(raw)
		if err != nil || u.Path == "" || (u.Host != "" && u.Host != "localhost") {
			return "", ofKind(api.ErrInvalid, errors.New("a file camera is file:///PATH"))
		}
		path = u.Path
	}
	real, err := filepath.EvalSymlinks(filepath.Clean(path))
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err == nil && s.allowed[real] {
		return "file://" + real, nil
	}
	for _, folder := range s.cfg.Folders {
		root, rootErr := filepath.EvalSymlinks(folder)
		if rootErr != nil {
			continue
		}
		if root, rootErr = filepath.Abs(root); rootErr != nil {
			continue
		}
		if err == nil && strings.HasPrefix(real, strings.TrimSuffix(root, "/")+"/") {
			return "file://" + real, nil
		}
	}
	// The same answer whether the file exists or not: the API is no way to look around.
	return "", ofKind(api.ErrInvalid, errNotAllowed)
}

// fromCommandLine turns an argument of `detectd run` into a camera.
func (s *sources) fromCommandLine(arg string) (store.Camera, error) {
	c := store.Camera{ClientID: DefaultClient, Enabled: true, Transport: "auto", Record: "continuous"}
	if !strings.Contains(arg, "://") || strings.HasPrefix(arg, "file:") {
		path, err := filepath.Abs(strings.TrimPrefix(arg, "file://"))
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err == nil {
			var info os.FileInfo
			if info, err = os.Stat(path); err == nil && !info.Mode().IsRegular() {
				err = fmt.Errorf("%s is not a file", arg)
			}
		}
		if err != nil {
			return c, fmt.Errorf("open camera file: %w", err)
		}
		s.allow(path)
		c.URL, c.Loop = "file://"+path, true
		c.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		return c, nil
	}
	u, err := s.ValidateURL(arg)
	if err != nil {
		return c, err
	}
	c.URL, c.Username, c.Password = u.URL, u.Username, u.Password
	parsed, err := url.Parse(u.URL)
	if err != nil {
		return c, ofKind(api.ErrInvalid, errors.New("the camera's address cannot be read"))
	}
	c.Name = strings.Trim(parsed.Hostname()+parsed.Path, "/")
	return c, nil
}
