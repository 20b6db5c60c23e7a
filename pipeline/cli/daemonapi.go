package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"detectd/store/folder"
)

// daemonFlags say which running detectd is asked.
type daemonFlags struct {
	Data string `default:"data" placeholder:"DIR" help:"Data folder (${default}) of the running detectd that is asked."`
}

// refusal is an answer of the API that is an error, in the daemon's own words.
type refusal struct {
	Status  int             `json:"-"`
	Detail  string          `json:"detail"`
	Current json.RawMessage `json:"current"` // with 412: the record as it is now
}

// Error implements error.
func (r *refusal) Error() string { return r.Detail }

// daemonAPI is the API of a running detectd.
type daemonAPI struct{ base string }

// openAPI finds the detectd that owns a data folder.
func (f daemonFlags) openAPI() (daemonAPI, error) {
	_, address, err := folder.Beside(f.Data)
	if err == nil && address == "" {
		err = f.notRunning()
	}
	return daemonAPI{base: address + "api/v1"}, err
}

func (f daemonFlags) notRunning() error {
	return fmt.Errorf("%s: no detectd runs on this data folder; start it with detectd run --data %s", f.Data, f.Data)
}

// call sends JSON, with If-Match where a revision is given, and reads the answer. body
// and into may be nil. A *refusal is the daemon's no.
func (a daemonAPI) call(ctx context.Context, method, path, revision string, body, into any) error {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("ask the running detectd: %w", err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, reader)
	if err != nil {
		return fmt.Errorf("ask the running detectd: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Detectd-Author", "cli")
	if revision != "" {
		request.Header.Set("If-Match", `"`+revision+`"`)
	}
	_, err = answered(request, into)
	if _, dead := errors.AsType[*net.OpError](err); dead {
		return fmt.Errorf("%w; is detectd running?", err)
	}
	return err
}

// all reads all pages of a list. A list of nothing is empty, not nil, and so in JSON.
func all[T any](ctx context.Context, a daemonAPI, path string, query url.Values) ([]T, error) {
	items := []T{}
	for {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		if err := a.call(ctx, http.MethodGet, path+"?"+query.Encode(), "", nil, &page); err != nil {
			return nil, err
		}
		if items = append(items, page.Items...); page.Next == "" {
			return items, nil
		}
		query.Set("cursor", page.Next)
	}
}

// place is a client, or one of its cameras, as in harbour or harbour/door.
type place struct{ client, camera string }

// UnmarshalText reads CLIENT or CLIENT/CAMERA.
func (p *place) UnmarshalText(text []byte) error {
	p.client, p.camera, _ = strings.Cut(string(text), "/")
	if p.client == "" || strings.Contains(p.camera, "/") || strings.HasSuffix(string(text), "/") {
		return fmt.Errorf("%q is neither CLIENT nor CLIENT/CAMERA", text)
	}
	return nil
}

// String is what UnmarshalText reads.
func (p place) String() string {
	if p.camera == "" {
		return p.client
	}
	return p.client + "/" + p.camera
}

// path is where the API has the running model of the place.
func (p place) path() string {
	path := "/running-models/" + url.PathEscape(p.client)
	if p.camera != "" {
		path += "/cameras/" + url.PathEscape(p.camera)
	}
	return path
}
