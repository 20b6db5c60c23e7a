package mlflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"detectd/store"
)

// maxArtifact is the largest file that is taken.
const maxArtifact = 8 << 30

// uploadStall is how long a sender may send nothing.
const uploadStall = time.Minute

func (s *server) routeArtifacts(r chi.Router) {
	r.Get("/artifacts", s.handle(func(ctx context.Context, in params) (answer, error) {
		folder, err := folderOf(scheme + in.str("path"))
		if err != nil {
			return nil, err
		}
		return s.listIn(ctx, folder, "")
	}))
	r.Get("/artifacts/*", s.plain(s.download))
	r.Put("/artifacts/*", s.plain(s.upload))
	r.Delete("/artifacts/*", s.plain(s.deleteArtifacts))
	r.Post("/mpu/*", func(w http.ResponseWriter, _ *http.Request) {
		write(w, failure{"NOT_IMPLEMENTED", "Multipart upload is not supported for the current artifact repository"})
	})
}

// plain handles a request whose path is that of a file.
func (s *server) plain(h func(w http.ResponseWriter, r *http.Request, file string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		file, err := clean(inPath(r, chi.URLParam(r, "*")))
		if err == nil {
			err = h(w, r, file)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// clean is a path of a file, refused when it could lead out of its folder.
func clean(name string) (string, error) {
	bad := name == "" || strings.ContainsAny(name, "\\\x00") || len(name) > 4096
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || part == ".."
	}
	name = path.Clean(name)
	if bad || path.IsAbs(name) || name == "." {
		return "", invalid("Invalid path: %.200q", name)
	}
	return name, nil
}

// folderOf is the folder of an address of this server; "" for the root.
func folderOf(address string) (string, error) {
	rest, ok := strings.CutPrefix(address, scheme)
	if strings.HasPrefix(rest, "/") { // mlflow-artifacts://HOST/PATH
		if _, rest, ok = strings.Cut(rest[1:], "/"); !ok {
			return "", invalid("Invalid path: %.200q", address)
		}
	}
	if !ok {
		return "", invalid("%.200q is no address of files at this server", address)
	}
	if rest = strings.TrimRight(rest, "/"); rest == "" {
		return "", nil
	}
	return clean(rest)
}

// files are those below a folder, by path.
func (s *server) files(ctx context.Context, folder string) ([]store.Artifact, error) {
	if v, ok, err := s.ownVersion(ctx, folder); ok || err != nil {
		return []store.Artifact{
			{Path: versionPath(v) + "/MLmodel", Size: int64(len(mlmodel(v)))},
			{Path: versionPath(v) + "/model.onnx", SHA256: v.SHA256, Size: v.Size},
		}, err
	}
	return s.Records.ListArtifacts(ctx, folder)
}

// artifact is one file, the model file of a version included.
func (s *server) artifact(ctx context.Context, file string) (store.Artifact, error) {
	if v, ok, err := s.ownVersion(ctx, path.Dir(file)); err != nil || ok && path.Base(file) == "model.onnx" {
		return store.Artifact{Path: file, SHA256: v.SHA256, Size: v.Size}, err
	}
	return s.Records.Artifact(ctx, file)
}

// ownVersion is the version whose folder this is, if it is one.
func (s *server) ownVersion(ctx context.Context, folder string) (v store.ModelVersion, ok bool, err error) {
	parts := strings.Split(folder, "/")
	if len(parts) != 3 || parts[0] != own {
		return v, false, nil
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil || n < 1 {
		return v, false, nil //nolint:nilerr // then it is no version
	}
	v, err = s.Records.ModelVersion(ctx, parts[1], n)
	if errors.Is(err, store.ErrNotFound) {
		return v, false, nil
	}
	return v, err == nil, err
}

// mlmodel describes a version to mlflow.onnx.load_model.
func mlmodel(v store.ModelVersion) []byte {
	return fmt.Appendf(nil, `flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: unknown
    providers:
    - CPUExecutionProvider
model_size_bytes: %d
utc_time_created: '%s'
`, v.Size, v.CreatedAt.UTC().Format("2006-01-02 15:04:05.000000"))
}

// listIn lists what is directly in a folder, with prefix put before the names.
func (s *server) listIn(ctx context.Context, folder, prefix string) (answer, error) {
	all, err := s.files(ctx, folder)
	if err != nil {
		return nil, err
	}
	out := []answer{}
	last := ""
	for _, a := range all {
		name := a.Path
		if folder != "" {
			name = strings.TrimPrefix(name, folder+"/")
		}
		name, _, dir := strings.Cut(name, "/")
		if dir && name == last {
			continue // its files come one after the other
		}
		entry := answer{"path": prefix + name, "is_dir": dir}
		if !dir {
			entry["file_size"] = a.Size
		} else {
			last = name
		}
		out = append(out, entry)
	}
	return answer{"files": out}, nil
}

// listBelow lists a folder below a root, with paths from the root on.
func (s *server) listBelow(ctx context.Context, root, below string) (answer, error) {
	folder, prefix := root, ""
	if below = strings.TrimRight(below, "/"); below != "" {
		name, err := clean(below)
		if err != nil {
			return nil, err
		}
		folder, prefix = root+"/"+name, name+"/"
	}
	out, err := s.listIn(ctx, folder, prefix)
	if err == nil {
		out["root_uri"] = scheme + root
	}
	return out, err
}

func (s *server) download(w http.ResponseWriter, r *http.Request, file string) error {
	w.Header().Set("Cache-Control", "no-store")
	if v, ok, err := s.ownVersion(r.Context(), path.Dir(file)); err != nil || ok && path.Base(file) == "MLmodel" {
		if err == nil {
			w.Header().Set("Content-Type", "application/octet-stream")
			http.ServeContent(w, r, "", v.CreatedAt, bytes.NewReader(mlmodel(v)))
		}
		return err
	}
	a, err := s.artifact(r.Context(), file)
	if err != nil {
		return err
	}
	blob, _, err := s.Blobs.Open(r.Context(), a.SHA256)
	if err != nil {
		return fmt.Errorf("open artifact %q: %w", file, err)
	}
	defer func() { _ = blob.Close() }()
	w.Header().Set("Content-Type", "application/octet-stream") // never shown as a page
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(file)}))
	w.Header().Set("ETag", `"`+a.SHA256+`"`)
	http.ServeContent(w, r, "", time.Time{}, blob)
	return nil
}

func (s *server) upload(w http.ResponseWriter, r *http.Request, file string) error {
	if strings.HasPrefix(file, own+"/") || file == own {
		return invalid("%q: versions cannot be changed; register a new one", file)
	}
	body := &stallReader{http.MaxBytesReader(w, r.Body, maxArtifact), http.NewResponseController(w)}
	sha, size, err := s.Blobs.Put(r.Context(), body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return invalid("%q: a file may have %d GiB at most", file, maxArtifact>>30)
	}
	if errors.Is(err, errStopped) {
		return invalid("%q: the upload stopped before its end", file)
	}
	if err != nil {
		return err
	}
	if err := s.Records.PutArtifact(r.Context(), store.Artifact{Path: file, SHA256: sha, Size: size}); err != nil {
		return err
	}
	reply(w, http.StatusOK, answer{})
	return nil
}

func (s *server) deleteArtifacts(w http.ResponseWriter, r *http.Request, file string) error {
	if _, err := s.Records.DeleteArtifacts(r.Context(), file); err != nil {
		return err
	}
	reply(w, http.StatusOK, answer{})
	return nil
}

var errStopped = errors.New("the upload stopped before its end")

// stallReader gives up when the sender sends nothing for uploadStall.
type stallReader struct {
	r       io.Reader
	control *http.ResponseController
}

// Read implements io.Reader.
func (s *stallReader) Read(p []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(uploadStall)) // recorders in tests have none
	n, err := s.r.Read(p)
	if err != nil {
		_ = s.control.SetReadDeadline(time.Time{})
	}
	if tooLarge := (*http.MaxBytesError)(nil); err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &tooLarge) {
		return n, fmt.Errorf("%w: %w", errStopped, err)
	}
	return n, err
}
