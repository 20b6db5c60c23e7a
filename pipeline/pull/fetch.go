package pull

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Errors that callers tell apart.
var (
	// ErrUnreachable says that the network, not the server, is what fails.
	ErrUnreachable = errors.New("it cannot be reached from here")
	// ErrChanged says that the file is not the one that was to be fetched.
	ErrChanged = errors.New("it is another file than expected")
)

// Fetcher fetches files. The zero value works, with the proxy of the environment
// (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
type Fetcher struct {
	Client *http.Client  // nil takes one with the proxy of the environment
	Stall  time.Duration // without a byte after which a connection is given up; 30 s
	Pause  time.Duration // before the second try, doubled for each further one; 1 s
	Tries  int           // in a row that bring nothing new before it is given up; 5
}

// File is what is to be fetched.
type File struct {
	URL      string
	SHA256   string // "" when it is not known
	MaxBytes int64
	// Dir is where the file is built up, and stays when it is not complete: the
	// next Fetch of the same address goes on from there.
	Dir string
	// Progress is told how many bytes there are, and will be (0: unknown). nil: nobody.
	Progress func(done, total int64)
}

// Fetched is a complete file; the caller removes it.
type Fetched struct {
	Path   string
	SHA256 string
	Bytes  int64
}

// part is a file on its way, with what tells whether the server still has the same.
type part struct {
	path   string
	notes  notes
	joined bool // of what several answers brought
}

type notes struct {
	Validator string `json:"validator"` // strong ETag or date of the last change; "" when there is neither
	Total     int64  `json:"total"`     // bytes; 0 when the server does not say
}

// Fetch brings a file here. A connection that stalls or breaks is replaced by
// another one that goes on where it ended, if the server still has the same file.
// Errors: ErrUnreachable, ErrChanged, and one that is fatal: of the server.
func (f *Fetcher) Fetch(ctx context.Context, file File) (Fetched, error) {
	address, err := url.Parse(file.URL)
	if err != nil || (address.Scheme != "https" && address.Scheme != "http") || address.Host == "" {
		return Fetched{}, fmt.Errorf("%q is no address of a file: it begins with https://", redact(file.URL))
	}
	if err := os.MkdirAll(file.Dir, 0o700); err != nil {
		return Fetched{}, fmt.Errorf("fetch %s: %w", address.Redacted(), err)
	}
	name := sha256.Sum256([]byte(file.URL))
	p := &part{path: filepath.Join(file.Dir, hex.EncodeToString(name[:8])+".part")}
	p.load()
	got, err := f.complete(ctx, file, p)
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch %s: %w", address.Redacted(), err)
	}
	return got, nil
}

// complete fetches until the file is whole and the right one.
func (f *Fetcher) complete(ctx context.Context, file File, p *part) (Fetched, error) {
	for again := false; ; again = true {
		p.joined = p.size() > 0
		if err := f.rest(ctx, file, p); err != nil {
			return Fetched{}, err
		}
		sum, size, err := hashOf(p.path)
		if err != nil {
			return Fetched{}, err
		}
		if file.SHA256 == "" || strings.EqualFold(file.SHA256, sum) {
			_ = os.Remove(p.notesPath())
			return Fetched{Path: p.path, SHA256: sum, Bytes: size}, nil
		}
		joined := p.joined
		p.drop()
		if !joined || again {
			return Fetched{}, fmt.Errorf("%w: its SHA-256 is %s, not %s", ErrChanged, sum, file.SHA256)
		}
		// Its parts may be of different files: once more, from the start.
	}
}

// rest fetches what is missing, in as many tries as bring something new.
func (f *Fetcher) rest(ctx context.Context, file File, p *part) error {
	tries := cmp.Or(f.Tries, 5)
	pause := cmp.Or(f.Pause, time.Second)
	for barren := 0; ; {
		before := p.size()
		wait, err := f.try(ctx, file, p)
		if err == nil {
			return nil
		}
		var fatal fatalError
		if errors.As(err, &fatal) || ctx.Err() != nil {
			return err
		}
		if p.size() > before {
			barren, pause = 0, cmp.Or(f.Pause, time.Second)
		}
		barren++
		if barren >= tries || (barren > 1 && p.size() == 0 && errors.Is(err, ErrUnreachable)) {
			if p.size() == 0 {
				return err
			}
			return fmt.Errorf("%w; %d bytes are kept, and the next pull goes on from there", err, p.size())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(wait, pause)):
		}
		pause *= 2
	}
}

// fatalError is an error that another try would not change.
type fatalError struct{ error }

func fatal(format string, args ...any) error { return fatalError{fmt.Errorf(format, args...)} }

// Unwrap returns the error.
func (e fatalError) Unwrap() error { return e.error }

// try makes one request for what is missing. It returns how long the server wants
// to be left alone when that fails.
func (f *Fetcher) try(ctx context.Context, file File, p *part) (wait time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := cmp.Or(f.Stall, 30*time.Second)
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing came for %v", stall)) })
	defer watch.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, file.URL, nil)
	if err != nil {
		return 0, fatal("%w", err)
	}
	have := p.size()
	if have > 0 && p.notes.Validator == "" && file.SHA256 == "" {
		p.drop() // nothing would tell whether the rest belongs to it
		have = 0
	}
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		if p.notes.Validator != "" {
			request.Header.Set("If-Range", p.notes.Validator)
		}
	}
	response, err := f.client().Do(request)
	if err != nil {
		return 0, unreachable(ctx, request.URL, err)
	}
	defer func() { _ = response.Body.Close() }()
	whole, wait, err := p.begin(response, have)
	if err != nil || whole {
		return wait, err
	}
	if p.notes.Total > file.MaxBytes {
		p.drop()
		return 0, fatal("it has %d bytes, more than the %d that are taken", p.notes.Total, file.MaxBytes)
	}
	if err := p.save(); err != nil {
		return 0, fatal("%w", err)
	}
	progress := file.Progress
	if progress == nil {
		progress = func(int64, int64) {}
	}
	err = p.fill(response.Body, file.MaxBytes, func(done int64) {
		watch.Reset(stall)
		progress(done, p.notes.Total)
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return 0, cause
	}
	return 0, err
}

// begin looks at an answer, and makes the part ready for its body. whole says that
// there is nothing to fetch any more.
func (p *part) begin(r *http.Response, have int64) (whole bool, wait time.Duration, err error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "text/html" && r.StatusCode < 300 {
		return false, 0, fatal("the server answers with a web page, not with a file")
	}
	switch r.StatusCode {
	case http.StatusOK:
		p.drop()
		p.joined = false
		p.notes = notes{Validator: validator(r.Header), Total: max(r.ContentLength, 0)}
		return false, 0, nil
	case http.StatusPartialContent:
		from, total, ok := contentRange(r.Header.Get("Content-Range"))
		if !ok || from != have || (p.notes.Total > 0 && total > 0 && total != p.notes.Total) {
			p.drop()
			return false, 0, errors.New("the server sends another part than asked for")
		}
		p.notes.Total, p.joined = cmp.Or(total, p.notes.Total), true
		return false, 0, nil
	case http.StatusRequestedRangeNotSatisfiable:
		if have > 0 && have == p.notes.Total {
			return true, 0, nil
		}
		p.drop()
		return false, 0, errors.New("the server has less of it than is here already")
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(r.Header.Get("Retry-After")) // 0 where it is a date
		return false, min(time.Duration(seconds)*time.Second, time.Minute), fmt.Errorf("the server answers %s", r.Status)
	case http.StatusProxyAuthRequired:
		return false, 0, fatal("the proxy wants a user and a password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT")
	default:
		return false, 0, fatal("the server answers %s", r.Status)
	}
}

// fill appends a body to the part.
func (p *part) fill(body io.Reader, most int64, told func(done int64)) (err error) {
	file, err := os.OpenFile(p.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fatal("%w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	done := p.size()
	buffer := make([]byte, 256<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if done += int64(n); done > most {
				return fatal("it has more than the %d bytes that are taken", most)
			}
			if _, err := file.Write(buffer[:n]); err != nil {
				return fatal("%w", err)
			}
			told(done)
		}
		if errors.Is(err, io.EOF) {
			if p.notes.Total > 0 && done < p.notes.Total {
				return fmt.Errorf("the connection ended after %d of %d bytes", done, p.notes.Total)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("the connection broke after %d bytes: %w", done, err)
		}
	}
}

func (p *part) size() int64 {
	info, err := os.Stat(p.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (p *part) notesPath() string { return p.path + ".json" }

func (p *part) load() {
	text, err := os.ReadFile(p.notesPath())
	if err != nil || json.Unmarshal(text, &p.notes) != nil {
		p.notes = notes{}
	}
}

func (p *part) save() error {
	text, err := json.Marshal(p.notes)
	if err != nil {
		return err
	}
	return os.WriteFile(p.notesPath(), text, 0o600)
}

func (p *part) drop() {
	_ = os.Remove(p.path) // what is left is refused by its checksum, or dropped again
	_ = os.Remove(p.notesPath())
	p.notes = notes{}
}

// validator is what If-Range takes; a weak ETag does not stand for the same bytes.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}

// contentRange reads "bytes FROM-TO/TOTAL"; total is 0 for "*".
func contentRange(text string) (from, total int64, ok bool) {
	span, all, ok := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	if !ok {
		return 0, 0, false
	}
	first, _, ok := strings.Cut(span, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	if !ok || err != nil {
		return 0, 0, false
	}
	if all != "*" {
		if total, err = strconv.ParseInt(all, 10, 64); err != nil {
			return 0, 0, false
		}
	}
	return from, total, true
}

// client follows redirects, but not from https to http.
func (f *Fetcher) client() *http.Client {
	if f.Client != nil {
		return f.Client
	}
	return &http.Client{CheckRedirect: func(next *http.Request, before []*http.Request) error {
		if len(before) >= 10 {
			return fatal("it is redirected too often")
		}
		if before[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
			return fatal("it is redirected to %s, which is not encrypted", next.URL.Redacted())
		}
		return nil
	}}
}

// unreachable says what is wrong with the network.
func unreachable(ctx context.Context, address *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if fatal, ok := errors.AsType[fatalError](err); ok {
		return fatal
	}
	reason := err
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		reason = wrapped.Err // without the address, which stands before it already
	}
	via := ""
	if proxy, _ := http.ProxyFromEnvironment(&http.Request{URL: address}); proxy != nil {
		via = " through the proxy " + proxy.Redacted()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		reason = fmt.Errorf("the name %s is not known", dns.Name)
	}
	return fmt.Errorf("%w%s (%w); where a proxy leads out, name it by HTTPS_PROXY=http://HOST:PORT", ErrUnreachable, via, reason)
}

// redact hides a password in what may not even be an address.
func redact(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if at := strings.LastIndex(rest, "@"); ok && at >= 0 {
		return scheme + "://***" + rest[at:]
	}
	return text
}

func hashOf(path string) (string, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), size, err
}
