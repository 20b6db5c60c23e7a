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
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config configures a Bus.
type Config struct {
	Folder  string // for the work queues; created when missing
	Pending int    // messages held for one subscriber before new ones are dropped; 0 takes 8192
}

// Bus is a running server with one connection to it. Safe for concurrent use.
type Bus struct {
	log     *slog.Logger
	server  *server.Server
	conn    *nats.Conn
	js      jetstream.JetStream
	work    jetstream.Stream
	pending int
	folder  string
	dropped atomic.Uint64
	missed  missed
}

const (
	startTimeout = 10 * time.Second
	flushTimeout = 5 * time.Second
	workStream   = "WORK"
)

// Open starts the server and connects to it. It opens no network socket.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Bus, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "detectd",
		DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: cfg.Folder, SyncAlways: true,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 256 << 20,
		MaxPayload: 8 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("start bus: %w", err)
	}
	s.SetLoggerV2(&natsLogger{log}, false, false, false)
	s.Start()
	b := &Bus{log: log, server: s, pending: cfg.Pending, folder: cfg.Folder}
	if b.pending <= 0 {
		b.pending = 8192
	}
	if err := b.connect(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bus) connect(ctx context.Context) error {
	if !b.server.ReadyForConnections(startTimeout) {
		return errors.New("start bus: server did not get ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(b.server), nats.Name("detectd"),
		nats.MaxReconnects(-1), nats.ErrorHandler(b.onError))
	if err != nil {
		return fmt.Errorf("connect to bus: %w", err)
	}
	b.conn = conn
	if b.js, err = jetstream.New(conn); err != nil {
		return fmt.Errorf("open work queues: %w", err)
	}
	b.work, err = b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: workStream, Subjects: []string{subjectRoot + "work.>"},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		Duplicates: time.Minute, MaxBytes: 128 << 20, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		return fmt.Errorf("open work queues: %w", err)
	}
	return nil
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

// Enqueue stores v on a work queue; it is durable when Enqueue returns. Within
// a minute the same id is stored once.
func (b *Bus) Enqueue(ctx context.Context, subject, id string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode work for %s: %w", subject, err)
	}
	if _, err := b.js.Publish(ctx, subject, data, jetstream.WithMsgID(id)); err != nil {
		return fmt.Errorf("enqueue on %s: %w", subject, err)
	}
	return nil
}

// Work runs handle for the jobs of a queue, one after the other, until ctx
// ends. A job is done when handle returns nil; after an error it is handed out
// again, five times at most, also after a restart. handle must be able to do a
// job twice.
func (b *Bus) Work(ctx context.Context, subject, worker string, handle func(context.Context, Message) error) error {
	consumer, err := b.consumer(ctx, jetstream.ConsumerConfig{
		Durable: worker, FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: ackWait, MaxAckPending: 1, MaxDeliver: 5,
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("open queue %s: %w", subject, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return fmt.Errorf("read queue %s: %w", subject, err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		m, err := messages.Next()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return nil
			}
			return fmt.Errorf("read queue %s: %w", subject, err)
		}
		b.workOne(ctx, m, handle)
	}
}

// workOne runs one job and tells the server that it is still at it.
func (b *Bus) workOne(ctx context.Context, m jetstream.Msg, handle func(context.Context, Message) error) {
	done := make(chan struct{})
	alive := make(chan struct{})
	go func() {
		defer close(alive)
		tick := time.NewTicker(ackWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_ = m.InProgress()
			}
		}
	}()
	err := handle(ctx, Message{Subject: m.Subject(), Data: m.Data()})
	close(done)
	<-alive
	if err != nil {
		b.log.Warn("work is handed out again", "subject", m.Subject(), "error", err)
		err = errors.Join(m.Nak(), b.Flush())
	} else {
		err = m.DoubleAck(context.WithoutCancel(ctx))
	}
	if err != nil {
		b.log.Warn("acknowledge work", "subject", m.Subject(), "error", err)
	}
}

// Ping answers whether the server and the work queues respond.
func (b *Bus) Ping(context.Context) error {
	if err := b.conn.FlushTimeout(flushTimeout); err != nil {
		return fmt.Errorf("bus does not answer: %w", err)
	}
	if !b.server.JetStreamEnabled() {
		return errors.New("work queues of the bus are off")
	}
	return nil
}

// Flush waits until everything published so far has reached the server.
func (b *Bus) Flush() error { return b.conn.FlushTimeout(flushTimeout) }

// Close ends the connection and the server and waits for both. Idempotent.
func (b *Bus) Close() error {
	if b.conn != nil {
		b.conn.Close()
	}
	b.server.Shutdown()
	b.server.WaitForShutdown()
	return nil
}
