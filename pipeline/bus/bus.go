// Package bus is detectd's message bus: an embedded NATS server without a
// socket, and typed publish and subscribe over it. Stages know each other only
// by its subjects, listed with payload and durability in docs/events.md.
//
// It carries metadata, never pixels. Announcements are core NATS: at most once,
// in order per publisher, dropped for a subscriber that falls behind (counted).
// Work queues are JetStream files synced before a publish returns: at least once.
package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Config configures a Bus.
type Config struct {
	Folder  string // for the work queues; created when missing
	Pending int    // messages held for one subscriber before new ones are dropped; 0 takes 8192
	Paused  bool   // the work queues stay closed until Pause opens them
}

// Bus is a running server with one connection to it. Safe for concurrent use.
type Bus struct {
	log     *slog.Logger
	server  *server.Server
	conn    *nats.Conn
	pending int
	folder  string
	dropped atomic.Uint64
	missed  missed

	pausing sync.Mutex             // held while the queues are opened or closed
	queues  atomic.Pointer[queues] // nil while they are closed
	failed  atomic.Bool            // their files are not to be relied on
	mu      sync.Mutex             // guards changed
	changed chan struct{}          // closed when they are opened
}

const (
	startTimeout = 10 * time.Second
	flushTimeout = 5 * time.Second
	workStream   = "WORK"
	maxPayload   = 8 << 20   // bytes of a message
	maxMemory    = 64 << 20  // bytes of streams in memory
	maxStore     = 256 << 20 // bytes of streams in files
	maxWork      = 128 << 20 // bytes of work
	duplicates   = time.Minute
)

// Open starts the servers and connects to them. It opens no network socket. The work
// queues have a server of their own, which ends while they are closed.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Bus, error) {
	b := &Bus{log: log, pending: cfg.Pending, folder: cfg.Folder, changed: make(chan struct{})}
	if b.pending <= 0 {
		b.pending = 8192
	}
	var err error
	if b.server, b.conn, err = b.serve(&server.Options{MaxPayload: maxPayload}); err != nil {
		return nil, fmt.Errorf("start bus: %w", err)
	}
	if !cfg.Paused {
		if err := b.openQueues(ctx); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// serve starts a server without a socket and connects to it.
func (b *Bus) serve(opts *server.Options) (*server.Server, *nats.Conn, error) {
	opts.ServerName, opts.DontListen, opts.NoSigs = "detectd", true, true
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, nil, err
	}
	s.SetLoggerV2(&natsLogger{b.log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		stop(s)
		return nil, nil, errors.New("the server did not get ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s), nats.Name("detectd"),
		nats.MaxReconnects(-1), nats.ErrorHandler(b.onError))
	if err != nil {
		stop(s)
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	return s, conn, nil
}

// stop ends a server and waits for it.
func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func (b *Bus) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
		b.log.Warn("bus subscriber is too slow, messages dropped", "subject", sub.Subject)
		return
	}
	b.log.Warn("bus", "error", err)
}

// Publish announces v as JSON on subject. It never waits for a subscriber.
func (b *Bus) Publish(subject string, v any) {
	data, err := json.Marshal(v)
	if err == nil {
		err = b.conn.Publish(subject, data)
	}
	if err != nil {
		b.dropped.Add(1)
		b.log.Warn("publish", "subject", subject, "error", err)
	}
}

// Dropped counts announcements that could not be published.
func (b *Bus) Dropped() uint64 { return b.dropped.Load() }

// Subscribe calls handle for every message on the subjects (wildcards allowed),
// one at a time and in order, until ctx ends; then it returns nil. ready, when
// not nil, is closed as soon as no later message can be missed.
func (b *Bus) Subscribe(ctx context.Context, ready chan<- struct{}, handle func(Message), subjects ...string) error {
	return b.subscribe(ctx, ready, false, handle, subjects)
}

// SubscribeAll is Subscribe for those who must not miss the end: when ctx ends
// it still handles everything that was published before, then returns.
func (b *Bus) SubscribeAll(ctx context.Context, ready chan<- struct{}, handle func(Message), subjects ...string) error {
	return b.subscribe(ctx, ready, true, handle, subjects)
}

func (b *Bus) subscribe(ctx context.Context, ready chan<- struct{}, drain bool, handle func(Message), subjects []string) error {
	ch := make(chan *nats.Msg, b.pending)
	for _, subject := range subjects {
		sub, err := b.conn.ChanSubscribe(subject, ch)
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		b.missed.begin(sub)
		defer func() {
			b.missed.end(sub)
			_ = sub.Unsubscribe()
		}()
	}
	if err := b.conn.FlushTimeout(flushTimeout); err != nil && ctx.Err() == nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if ready != nil {
		close(ready)
	}
	for {
		select {
		case <-ctx.Done():
			if drain {
				b.drain(ch, handle)
			}
			return nil
		case m := <-ch:
			handle(Message{Subject: m.Subject, Data: m.Data})
		}
	}
}

// drain handles what is in ch and on its way there. The server answers the
// flush after it has delivered all that this connection published before.
func (b *Bus) drain(ch <-chan *nats.Msg, handle func(Message)) {
	if err := b.Flush(); err != nil {
		b.log.Warn("drain bus subscription", "error", err)
	}
	for {
		select {
		case m := <-ch:
			handle(Message{Subject: m.Subject, Data: m.Data})
		default:
			return
		}
	}
}

// Watch returns a channel that holds a value after any message on the subjects,
// one however many came: for those who read records anew when something changed.
// No later message is missed once it returns. stop ends it.
func (b *Bus) Watch(subjects ...string) (changed <-chan struct{}, stop func(), err error) {
	ch := make(chan struct{}, 1)
	var subs []*nats.Subscription
	stop = func() {
		for _, sub := range subs {
			_ = sub.Unsubscribe() // fails only when the connection is gone, and it with it
		}
	}
	for _, subject := range subjects {
		sub, err := b.conn.Subscribe(subject, func(*nats.Msg) {
			select {
			case ch <- struct{}{}:
			default:
			}
		})
		if err != nil {
			stop()
			return nil, nil, fmt.Errorf("watch %s: %w", subject, err)
		}
		subs = append(subs, sub)
	}
	if err := b.Flush(); err != nil {
		stop()
		return nil, nil, fmt.Errorf("watch: %w", err)
	}
	return ch, stop, nil
}

// Ping answers whether the server responds and the work queues, where they are not
// paused, have no fault.
func (b *Bus) Ping(context.Context) error {
	if err := b.conn.FlushTimeout(flushTimeout); err != nil {
		return fmt.Errorf("bus does not answer: %w", err)
	}
	if b.failed.Load() {
		return errors.New("the files of the work queues have failed")
	}
	return nil
}

// Flush waits until everything published so far has reached the server.
func (b *Bus) Flush() error { return b.conn.FlushTimeout(flushTimeout) }

// Close ends the connection and the server and waits for both. Idempotent.
func (b *Bus) Close() error {
	if q := b.queues.Swap(nil); q != nil {
		q.close()
	}
	b.conn.Close()
	stop(b.server)
	return nil
}
