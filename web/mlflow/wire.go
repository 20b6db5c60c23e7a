package mlflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"detectd/detect"
	"detectd/store"
	"detectd/web/api"
)

// maxJSON is the largest request that is not a file: a full log-batch.
const maxJSON = 16 << 20

// failure is an error in MLflow's terms. Clients decide by the code.
type failure struct {
	Code    string `json:"error_code"`
	Message string `json:"message"`
}

// Error implements error.
func (f failure) Error() string { return f.Message }

// Codes of MLflow's errors.
const (
	invalidValue  = "INVALID_PARAMETER_VALUE"
	missing       = "RESOURCE_DOES_NOT_EXIST"
	alreadyExists = "RESOURCE_ALREADY_EXISTS"
	conflict      = "RESOURCE_CONFLICT"
	internal      = "INTERNAL_ERROR"
)

func (f failure) status() int {
	switch f.Code {
	case missing, "ENDPOINT_NOT_FOUND":
		return http.StatusNotFound
	case conflict:
		return http.StatusConflict
	case "NOT_IMPLEMENTED":
		return http.StatusNotImplemented
	case "TEMPORARILY_UNAVAILABLE":
		return http.StatusServiceUnavailable
	case internal:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

func invalid(format string, args ...any) error {
	return failure{invalidValue, fmt.Sprintf(format, args...)}
}

// fail answers with an error. Only those whose text is meant for users show it.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var f failure
	if !errors.As(err, &f) {
		f = failure{internal, "something went wrong inside detectd; its log has the reason"}
		for _, k := range []struct {
			err  error
			code string
		}{
			{store.ErrNotFound, missing},
			{store.ErrExists, alreadyExists},
			{store.ErrInUse, conflict},
			{store.ErrRevision, conflict},
			{store.ErrGate, conflict},
			{store.ErrPaused, "TEMPORARILY_UNAVAILABLE"},
			{store.ErrBusy, "TEMPORARILY_UNAVAILABLE"},
			{store.ErrDisk, "TEMPORARILY_UNAVAILABLE"},
			{detect.ErrNotONNX, invalidValue},
			{detect.ErrExternalData, invalidValue},
			{detect.ErrNotDetector, invalidValue},
			{api.ErrTooLarge, invalidValue},
			{api.ErrUnprocessable, invalidValue},
			{api.ErrInvalid, invalidValue},
		} {
			if errors.Is(err, k.err) {
				f = failure{k.code, err.Error()}
				break
			}
		}
	}
	if f.Code == internal && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "request of an MLflow client failed", slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	write(w, f)
}

func write(w http.ResponseWriter, f failure) { reply(w, f.status(), f) }

func reply(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // only values that JSON has are put in
		status, text = http.StatusInternalServerError, []byte(`{"error_code":"INTERNAL_ERROR","message":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// params are the fields of a request. Unknown ones are of no account.
type params map[string]any

func parse(w http.ResponseWriter, r *http.Request) (params, error) {
	in := params{}
	if r.Method == http.MethodGet {
		for key, values := range r.URL.Query() {
			all := make([]any, len(values))
			for i, v := range values {
				all[i] = v
			}
			in[key] = all
		}
	} else {
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxJSON))
		decoder.UseNumber()
		if err := decoder.Decode(&in); err != nil && r.ContentLength != 0 {
			return nil, invalid("the request is no JSON object: %v", err)
		}
		if in == nil {
			in = params{}
		}
	}
	if route := chi.RouteContext(r.Context()); route != nil {
		for i, key := range route.URLParams.Keys {
			if key != "*" {
				in[key] = inPath(r, route.URLParams.Values[i])
			}
		}
	}
	return in, nil
}

// inPath is a part of the path as it is meant: chi leaves the escapes in when
// the path has some that need not be.
func inPath(r *http.Request, part string) string {
	if r.URL.RawPath == "" {
		return part
	}
	plain, err := url.PathUnescape(part)
	if err != nil { // net/http has read it before
		return part
	}
	return plain
}

// one is a value that may come as the only one of a list, as queries give it.
func (p params) one(key string) any {
	if all, ok := p[key].([]any); ok {
		if len(all) == 0 {
			return nil
		}
		return all[0]
	}
	return p[key]
}

// str is a text, "" when it is not given.
func (p params) str(key string) string {
	switch v := p.one(key).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		return ""
	}
}

// need is a text that has to be given.
func (p params) need(key string) (string, error) {
	if v := p.str(key); v != "" {
		return v, nil
	}
	return "", invalid("missing value for required parameter '%s'", key)
}

// ptr is a text, nil when it is not given.
func (p params) ptr(key string) *string {
	if p.one(key) == nil {
		return nil
	}
	v := p.str(key)
	return &v
}

// num is a whole number: proto JSON may write it as a text.
func (p params) num(key string) (int64, error) {
	text := p.str(key)
	if text == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, invalid("parameter '%s' must be a whole number, not %.40q", key, text)
	}
	return int64(f), nil
}

// float is a number; NaN and the infinities come as texts.
func (p params) float(key string) (float64, error) {
	f, err := strconv.ParseFloat(p.str(key), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, invalid("parameter '%s' must be a number, not %.40q", key, p.str(key))
	}
	return f, nil
}

// list is a list of texts.
func (p params) list(key string) []string {
	all, ok := p[key].([]any)
	if !ok && p[key] != nil {
		all = []any{p[key]}
	}
	out := make([]string, 0, len(all))
	for _, v := range all {
		out = append(out, params{"v": v}.str("v"))
	}
	return out
}

// objects is a list of objects.
func (p params) objects(key string) []params {
	var out []params
	all, _ := p[key].([]any)
	for _, v := range all {
		if object, ok := v.(map[string]any); ok {
			out = append(out, params(object))
		}
	}
	return out
}

// texts are tags or parameters.
func (p params) texts(key string) ([]store.Text, error) {
	var out []store.Text
	for _, o := range p.objects(key) {
		t, err := o.text()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (p params) text() (store.Text, error) {
	t := store.Text{Key: p.str("key"), Value: p.str("value")}
	switch {
	case t.Key == "":
		return t, invalid("missing value for required parameter 'key'")
	case len(t.Key) > 250:
		return t, invalid("key %.60q… has more than 250 bytes", t.Key)
	case len(t.Value) > 100_000:
		return t, invalid("the value of %q has more than 100000 bytes", t.Key)
	}
	return t, nil
}

// page reads max_results and page_token into a search, which asks for one row
// more than fits to learn whether there is a next page.
func (p params) page(q *store.Search, standard, most int) error {
	size, err := p.num("max_results")
	if err != nil {
		return err
	}
	if size == 0 {
		size = int64(standard)
	}
	if size < 0 || size > int64(most) {
		return invalid("parameter 'max_results' must be from 1 to %d, not %d", most, size)
	}
	q.Limit = int(size) + 1
	if token := p.str("page_token"); token != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(token, "from-"), 10, 31)
		if err != nil {
			return invalid("page_token %.40q comes from no answer", token)
		}
		q.Offset = int(n)
	}
	return nil
}

// paged converts the rows of a page and adds the token of the next.
func paged[T any](name string, q store.Search, rows []T, convert func(T) answer) answer {
	out := answer{}
	if size := q.Limit - 1; len(rows) > size {
		rows = rows[:size]
		out["next_page_token"] = fmt.Sprintf("from-%d", q.Offset+size)
	}
	items := make([]answer, len(rows))
	for i, r := range rows {
		items[i] = convert(r)
	}
	out[name] = items
	return out
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// number is a float as proto JSON writes it.
func number(f float64) any {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	default:
		return f
	}
}

func textsJSON(texts []store.Text) []answer {
	out := make([]answer, len(texts))
	for i, t := range texts {
		out[i] = answer{"key": t.Key, "value": t.Value}
	}
	return out
}

func metricsJSON(metrics []store.Metric) []answer {
	out := make([]answer, len(metrics))
	for i, m := range metrics {
		out[i] = answer{"key": m.Key, "value": number(m.Value), "timestamp": m.Time, "step": m.Step, "run_id": m.RunID}
		for key, value := range map[string]string{"model_id": m.ModelID, "dataset_name": m.Dataset, "dataset_digest": m.Digest} {
			if value != "" {
				out[i][key] = value
			}
		}
	}
	return out
}
