package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
)

// uploadStall is how long an upload may send nothing.
const uploadStall = 30 * time.Second

// UploadBody gives a handler the request's body as a stream: uploads are too
// large to be read into memory. Embed it instead of declaring a Body.
type UploadBody struct {
	r *http.Request
	w http.ResponseWriter
}

// Resolve implements huma.Resolver.
func (u *UploadBody) Resolve(ctx huma.Context) []error {
	u.r, u.w = humachi.Unwrap(ctx)
	return nil
}

// file is an uploaded file.
type file struct {
	io.Reader
	name string // without folders
	mime string
}

// open returns the uploaded file: the body itself, or the first part named
// "file" of multipart/form-data. Reading past limit bytes fails with ErrTooLarge.
func (u *UploadBody) open(limit int64) (file, error) {
	const slack = 64 << 10 // multipart headers
	if u.r.ContentLength > limit+slack {
		return file{}, tooLarge(limit)
	}
	body := &stallReader{r: u.r.Body, control: http.NewResponseController(u.w)}
	kind, params, _ := mime.ParseMediaType(u.r.Header.Get("Content-Type")) // what cannot be read is no form
	if kind != "multipart/form-data" {
		return file{Reader: &limitReader{r: body, left: limit, limit: limit}, mime: kind}, nil
	}
	u.r.Body = io.NopCloser(body)
	if params["boundary"] == "" {
		return file{}, fmt.Errorf("the multipart body has no boundary: %w", ErrUnprocessable)
	}
	form, err := u.r.MultipartReader()
	if err != nil {
		return file{}, fmt.Errorf("the multipart body cannot be read: %w", ErrUnprocessable)
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return file{}, fmt.Errorf(`the form has no part named "file": %w`, ErrUnprocessable)
		}
		if part.FormName() != "file" {
			continue
		}
		partKind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		return file{
			Reader: &limitReader{r: part, left: limit, limit: limit},
			name:   baseName(part.FileName()), mime: partKind,
		}, nil
	}
}

// accept refuses a file whose sender says it is something else.
func (f file) accept(kinds ...string) error {
	if f.mime == "" || f.mime == "application/octet-stream" || f.mime == "application/x-www-form-urlencoded" {
		return nil // the latter is what curl says when it is told nothing
	}
	for _, k := range kinds {
		if strings.HasPrefix(f.mime, k) {
			return nil
		}
	}
	return fmt.Errorf("%s is not taken here: %w", f.mime, ErrUnsupported)
}

// baseName is the last element of a file name from any system.
func baseName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == "/" {
		return ""
	}
	return name
}

func tooLarge(limit int64) error {
	return fmt.Errorf("an upload may have %d MiB: %w", limit>>20, ErrTooLarge)
}

// limitReader fails past a number of bytes, unlike io.LimitReader, which ends.
type limitReader struct {
	r     io.Reader
	left  int64
	limit int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		return int(l.left), tooLarge(l.limit)
	}
	l.left -= int64(n)
	return n, err
}

// stallReader gives up when the sender sends nothing for uploadStall. The
// deadline is lifted at the end, or it would end the request while the file is
// worked on.
type stallReader struct {
	r       io.Reader
	control *http.ResponseController
}

func (s *stallReader) Read(p []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(uploadStall)) // recorders in tests have none
	n, err := s.r.Read(p)
	if err != nil {
		_ = s.control.SetReadDeadline(time.Time{})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("the upload stopped before its end: %w", ErrUnprocessable)
	}
	return n, err
}

// uploadRequest describes a body that is a file of the given kinds, by itself or in a form.
func uploadRequest(description string, kinds ...string) *huma.RequestBody {
	raw := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	content := map[string]*huma.MediaType{}
	for _, k := range kinds {
		content[k] = &huma.MediaType{Schema: raw}
	}
	content["multipart/form-data"] = &huma.MediaType{Schema: &huma.Schema{
		Type: huma.TypeObject, Required: []string{"file"},
		Properties: map[string]*huma.Schema{"file": {Type: huma.TypeString, Format: "binary", Description: "The file."}},
	}}
	return &huma.RequestBody{Description: description, Required: true, Content: content}
}
