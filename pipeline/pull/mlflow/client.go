// Package mlflow reads the registry of an MLflow tracking server: its models, their
// versions, tags and aliases, and the files of ONNX models. It follows the REST API
// 2.0 of MLflow 2 and 3 (mlflow.org/docs/latest/rest-api.html) and fetches files
// through the server, as clients do that have no access to its storage.
package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrSkip is what errors match that are about one version, which detectd cannot
// take: others can still be read.
var ErrSkip = errors.New("it is left out")

// Model is a registered model.
type Model struct {
	Name        string
	Description string
	Tags        map[string]string
	Aliases     map[string]int
	Versions    []Version // by number
}

// Version is one of its versions.
type Version struct {
	Model       string
	Number      int
	Description string
	Source      string
	Tags        map[string]string
}

// Client asks one server. Safe for concurrent use.
type Client struct {
	base           *url.URL
	http           *http.Client
	user, password string
	token          string
}

// timeout is how long the server may take to begin an answer.
const timeout = 30 * time.Second

// New returns a client of the server at an address (http://host:5000). User and
// password may be part of it; else they are those that MLflow's own client takes:
// MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN.
func New(address string, getenv func(string) string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("the address of an MLflow server begins with http:// or https://")
	}
	transport, _ := http.DefaultTransport.(*http.Transport)
	transport = transport.Clone()
	transport.ResponseHeaderTimeout = timeout
	c := &Client{base: u, http: &http.Client{Transport: transport}}
	if u.User != nil {
		c.user = u.User.Username()
		c.password, _ = u.User.Password()
		u.User = nil
	} else {
		c.user, c.password, c.token = getenv("MLFLOW_TRACKING_USERNAME"), getenv("MLFLOW_TRACKING_PASSWORD"), getenv("MLFLOW_TRACKING_TOKEN")
	}
	u.RawQuery, u.Fragment = "", ""
	return c, nil
}

// Address is that of the server, without user and password.
func (c *Client) Address() string { return strings.TrimSuffix(c.base.String(), "/") }

// Close gives the connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func toMap(pairs []pair) map[string]string {
	out := map[string]string{}
	for _, p := range pairs {
		out[p.Key] = p.Value
	}
	return out
}

// number reads whole numbers that the server writes as text or as a number.
type number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(text []byte) error {
	v, err := strconv.Atoi(strings.Trim(string(text), `"`))
	*n = number(v)
	return err
}

// maxPages bounds a list that never ends.
const maxPages = 10_000

// Models lists the registered models with their versions; of those names, when
// there are any.
func (c *Client) Models(ctx context.Context, names []string) ([]Model, error) {
	var out []Model
	err := c.pages(ctx, "registered-models/search", url.Values{"max_results": {"100"}}, func(text []byte) (string, error) {
		var page struct {
			Models []struct {
				Name        string `json:"name"`
				Description string `json:"description"`
				Tags        []pair `json:"tags"`
				Aliases     []struct {
					Alias   string `json:"alias"`
					Version number `json:"version"`
				} `json:"aliases"`
			} `json:"registered_models"`
			Next string `json:"next_page_token"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return "", err
		}
		for _, m := range page.Models {
			if len(names) > 0 && !slices.Contains(names, m.Name) {
				continue
			}
			aliases := map[string]int{}
			for _, a := range m.Aliases {
				aliases[a.Alias] = int(a.Version)
			}
			out = append(out, Model{Name: m.Name, Description: m.Description, Tags: toMap(m.Tags), Aliases: aliases})
		}
		return page.Next, nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(out, func(m Model) bool { return m.Name == name }) {
			return nil, fmt.Errorf("%s has no registered model %q", c.Address(), name)
		}
	}
	for i := range out {
		if out[i].Versions, err = c.versions(ctx, out[i].Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// versions lists the versions of a model, by number.
func (c *Client) versions(ctx context.Context, model string) ([]Version, error) {
	filter := "name='" + strings.ReplaceAll(model, "'", "''") + "'"
	var out []Version
	err := c.pages(ctx, "model-versions/search", url.Values{"max_results": {"200"}, "filter": {filter}}, func(text []byte) (string, error) {
		var page struct {
			Versions []struct {
				Name        string `json:"name"`
				Version     number `json:"version"`
				Description string `json:"description"`
				Source      string `json:"source"`
				Tags        []pair `json:"tags"`
			} `json:"model_versions"`
			Next string `json:"next_page_token"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return "", err
		}
		for _, v := range page.Versions {
			if v.Name == model {
				out = append(out, Version{Model: model, Number: int(v.Version), Description: v.Description, Source: v.Source, Tags: toMap(v.Tags)})
			}
		}
		return page.Next, nil
	})
	slices.SortFunc(out, func(a, b Version) int { return a.Number - b.Number })
	return out, err
}

// pages asks for a list page by page; read returns the token of the next page.
func (c *Client) pages(ctx context.Context, call string, query url.Values, read func([]byte) (string, error)) error {
	for range maxPages {
		text, err := c.get(ctx, "api/2.0/mlflow/"+call, query)
		if err != nil {
			return err
		}
		next, err := read(text)
		if err != nil {
			return fmt.Errorf("%s does not answer as an MLflow server: %w", c.Address(), err)
		}
		if next == "" {
			return nil
		}
		query.Set("page_token", next)
	}
	return fmt.Errorf("%s lists without an end", c.Address())
}

// maxAnswer bounds an answer that is no file.
const maxAnswer = 64 << 20

func (c *Client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	body, _, err := c.open(ctx, path, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Address(), err)
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("%s answers with more than %d MiB", c.Address(), maxAnswer>>20)
	}
	return text, nil
}

// open begins to read what is at a path of the server.
func (c *Client) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, int64, error) {
	at := c.base.JoinPath(path)
	at.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case c.token != "":
		request.Header.Set("Authorization", "Bearer "+c.token)
	case c.user != "":
		request.SetBasicAuth(c.user, c.password)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return nil, 0, fmt.Errorf("the MLflow server at %s cannot be reached: %w", c.Address(), err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, response.ContentLength, nil
	}
	defer func() { _ = response.Body.Close() }()
	return nil, 0, c.refused(response)
}

// refused is what the server says about a request that it does not fulfil.
func (c *Client) refused(r *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(r.Body, 4096)) // what can be had of it
	var problem struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	words := r.Status
	if json.Unmarshal(text, &problem) == nil && problem.Message != "" {
		words = fmt.Sprintf("%s: %.300s", problem.Code, problem.Message)
	}
	if r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden {
		words += "; give a user and a password in the address, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
	}
	return &answerError{r.StatusCode, fmt.Sprintf("%s answers %s", c.Address(), words)}
}

// answerError is an answer that is no success.
type answerError struct {
	status int
	text   string
}

// Error implements error.
func (e *answerError) Error() string { return e.text }
