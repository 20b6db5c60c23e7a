package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// client speaks with a daemon as a program of a user does: it knows the API's
// JSON, not detectd's types.
type client struct {
	base string // http://127.0.0.1:PORT
	http *http.Client
}

func newClient(t *testing.T, address string) *client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{base: strings.TrimSuffix(address, "/"), http: &http.Client{Transport: transport, Timeout: 2 * patience}}
}

// answer is what the daemon says.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// send asks the daemon something. A body that is no text or bytes goes as JSON;
// header is a list of names and values.
func (c *client) send(t require.TestingT, method, path string, body any, header ...string) answer {
	var reader io.Reader
	kind := "application/octet-stream"
	switch b := body.(type) {
	case nil:
	case []byte:
		reader = bytes.NewReader(b)
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		require.NoError(t, err)
		reader, kind = bytes.NewReader(text), "application/json"
	}
	request, err := http.NewRequest(method, c.base+path, reader)
	require.NoError(t, err)
	if reader != nil {
		request.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			request.Host = header[i+1]
		}
		request.Header.Set(header[i], header[i+1])
	}
	response, err := c.http.Do(request)
	require.NoError(t, err, path)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err, path)
	return answer{response.StatusCode, response.Header, content}
}

// api is send for what has to work: into takes the answer.
func (c *client) api(t require.TestingT, method, path string, body, into any, header ...string) answer {
	a := c.send(t, method, "/api/v1"+path, body, header...)
	require.Less(t, a.Status, 300, "%s %s: %s", method, path, a.Body)
	if into != nil {
		require.NoError(t, json.Unmarshal(a.Body, into), "%s %s: %s", method, path, a.Body)
	}
	return a
}

func (c *client) get(t require.TestingT, path string, into any) answer {
	return c.api(t, http.MethodGet, path, nil, into)
}

// problem is an error of the API (RFC 9457).
type problem struct {
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Detail  string          `json:"detail"`
	Current json.RawMessage `json:"current"`
}

// refused expects one clear error: the status, and a problem that says text.
func refused(t require.TestingT, a answer, status int, text string) problem {
	require.Equal(t, status, a.Status, "%s", a.Body)
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), "%s", a.Body)
	var p problem
	require.NoError(t, json.Unmarshal(a.Body, &p), "%s", a.Body)
	require.Equal(t, status, p.Status)
	require.Contains(t, p.Detail, text)
	require.NotContains(t, p.Detail, "\n")
	return p
}

type items[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// list is all items of a list.
func list[T any](t require.TestingT, c *client, path string) []T {
	var all []T
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	for cursor := ""; ; {
		var page items[T]
		c.get(t, path+join+"limit=1000"+cursor, &page)
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		cursor = "&cursor=" + page.Next
	}
}

type body map[string]any

type status struct {
	CameraID      string            `json:"camera_id"`
	State         string            `json:"state"`
	Reason        string            `json:"reason"`
	NextTry       time.Time         `json:"next_try"`
	Codec         string            `json:"codec"`
	Width         int               `json:"width"`
	Height        int               `json:"height"`
	Units         uint64            `json:"units"`
	Frames        uint64            `json:"frames"`
	Inferences    uint64            `json:"inferences"`
	Reconnects    uint64            `json:"reconnects"`
	Drops         map[string]uint64 `json:"drops"`
	Model         string            `json:"model"`
	ModelVersion  int               `json:"model_version"`
	ModelRevision int64             `json:"model_revision"`
	ModelError    string            `json:"model_error"`
	Recording     bool              `json:"recording"`
	Clock         string            `json:"clock"`
}

type camera struct {
	ID          string `json:"id"`
	ClientID    string `json:"client_id"`
	Name        string `json:"name"`
	URL         string `json:"url"`
	Username    string `json:"username"`
	HasPassword bool   `json:"has_password"`
	Transport   string `json:"transport"`
	Enabled     bool   `json:"enabled"`
	Record      string `json:"record"`
	Revision    int64  `json:"revision"`
	Status      status `json:"status"`
}

type box [4]float64 // x, y, width, height

type object struct {
	TrackID string  `json:"track_id"`
	ClassID int     `json:"class_id"`
	Label   string  `json:"label"`
	Score   float64 `json:"score"`
	Box     box     `json:"box"`
	Kind    string  `json:"kind"`
}

type annotation struct {
	CameraID     string    `json:"camera_id"`
	Time         time.Time `json:"time"`
	Frame        uint64    `json:"frame"`
	Width        int       `json:"width"`
	Height       int       `json:"height"`
	Kind         string    `json:"kind"`
	Model        string    `json:"model"`
	ModelVersion int       `json:"model_version"`
	Objects      []object  `json:"objects"`
}

type detection struct {
	CameraID string    `json:"camera_id"`
	Time     time.Time `json:"time"`
	Frame    uint64    `json:"frame"`
	object
}

type recording struct {
	ID     int64     `json:"id"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Bytes  int64     `json:"bytes"`
	Frames int       `json:"frames"`
	Codec  string    `json:"codec"`
	Video  string    `json:"video"`
}

type result struct {
	ID       string  `json:"id"`
	Kind     string  `json:"kind"`
	State    string  `json:"state"`
	Progress float64 `json:"progress"`
	Error    string  `json:"error"`
	MIME     string  `json:"mime"`
	Bytes    int64   `json:"bytes"`
	Content  string  `json:"content"`
}

type runningModel struct {
	Model     string `json:"model"`
	Version   int    `json:"version"`
	Revision  int64  `json:"revision"`
	Effective struct {
		Model   string `json:"model"`
		Version int    `json:"version"`
		From    string `json:"from"`
	} `json:"effective"`
}

type loggedEvent struct {
	ID       json.RawMessage `json:"id"`
	Kind     string          `json:"kind"`
	CameraID string          `json:"camera_id"`
	Message  string          `json:"message"`
}

func quoted(revision int64) string { return strconv.Quote(strconv.FormatInt(revision, 10)) }

// addCamera adds a camera with a name and an address, and what more says.
func (c *client) addCamera(t require.TestingT, name, url string, more body) camera {
	settings := body{"name": name, "url": url}
	maps.Copy(settings, more)
	var added camera
	a := c.api(t, http.MethodPost, "/cameras", settings, &added)
	require.Equal(t, http.StatusCreated, a.Status)
	require.Equal(t, "/api/v1/cameras/"+added.ID, a.Header.Get("Location"))
	return added
}

func (c *client) camera(t require.TestingT, id string) camera {
	var found camera
	c.get(t, "/cameras/"+id, &found)
	return found
}

// change changes a camera, whatever its revision.
func (c *client) change(t require.TestingT, id string, settings body) camera {
	var changed camera
	c.api(t, http.MethodPut, "/cameras/"+id, settings, &changed)
	return changed
}

// becomes waits until a camera is in a state.
func (c *client) becomes(t *testing.T, id, state string) status {
	t.Helper()
	var s status
	soon(t, func(t require.TestingT) {
		s = c.camera(t, id).Status
		require.Equal(t, state, s.State, s.Reason)
	}, id)
	return s
}

// goesOn waits until a camera has brought new frames.
func (c *client) goesOn(t *testing.T, id string) {
	t.Helper()
	before := c.camera(t, id).Status.Frames
	soon(t, func(t require.TestingT) {
		require.Greater(t, c.camera(t, id).Status.Frames, before)
	}, id)
}

// setModel sets what the client "default" runs, once.
func (c *client) setModel(t require.TestingT, model string, version int) runningModel {
	var now runningModel
	c.get(t, "/running-models/default", &now)
	c.api(t, http.MethodPut, "/running-models/default", body{"model": model, "version": version}, &now,
		"If-Match", quoted(now.Revision))
	return now
}

// jsonBody is a value as the body of a request.
func jsonBody(v any) io.Reader {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return bytes.NewReader(text)
}
