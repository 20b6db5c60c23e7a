package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// heartbeat is how often the server says that it still has the request for a job. It
// loses one now and then on a busy machine (nats-server 2.15, seen under the race
// detector, one in a few hundred): after two heartbeats it is asked again.
const heartbeat = time.Second

// Enqueue stores v on a work queue; it is durable when Enqueue returns. Within
// a minute the same id is stored once. It returns ErrPaused when the queues are
// closed, full, or their files fail.
func (b *Bus) Enqueue(ctx context.Context, subject, id string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode work for %s: %w", subject, err)
	}
	q := b.queues.Load()
	if q == nil || b.failed.Load() {
		return fmt.Errorf("enqueue on %s: %w", subject, ErrPaused)
	}
	_, err = q.js.Publish(ctx, subject, data, jetstream.WithMsgID(id))
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("enqueue on %s: %w", subject, err)
	case errors.As(err, &refused) && refused.Description == server.ErrMaxBytes.Error(), q.closed.Err() != nil:
	default: // the server does not even answer when its disk fails
		b.fail("enqueue", err)
	}
	return fmt.Errorf("enqueue on %s: %w (%w)", subject, ErrPaused, err)
}

// Work runs handle for the jobs of a queue, one after the other, until ctx
// ends. A job is done when handle returns nil; after an error it is handed out
// again, five times at most, also after a restart. handle must be able to do a
// job twice. While the queues take nothing it waits.
func (b *Bus) Work(ctx context.Context, subject, worker string, handle func(context.Context, Message) error) error {
	for {
		q, err := b.opened(ctx)
		if err != nil {
			return nil //nolint:nilerr // ctx has ended
		}
		if err := b.workOn(ctx, q, subject, worker, handle); err != nil && ctx.Err() == nil && q.closed.Err() == nil {
			b.fail("read queue "+subject, err)
		}
	}
}

// workOn is Work for as long as the queues are open.
func (b *Bus) workOn(ctx context.Context, q *queues, subject, worker string, handle func(context.Context, Message) error) error {
	opening, cancel := context.WithCancel(q.closed)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	consumer, err := b.consumer(opening, q.work, jetstream.ConsumerConfig{
		Durable: worker, FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: ackWait, MaxAckPending: 1, MaxDeliver: 5,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(opening, messages.Stop)()
	for {
		m, err := messages.Next()
		if errors.Is(err, jetstream.ErrNoHeartbeat) { // the disk is slow, or the request was lost; it is asked again
			b.log.Debug("the work queue does not answer", "subject", subject)
			continue
		}
		if err != nil {
			return err
		}
		b.workOne(ctx, q, m, handle)
	}
}

// workOne runs one job and tells the server that it is still at it.
func (b *Bus) workOne(ctx context.Context, q *queues, m jetstream.Msg, handle func(context.Context, Message) error) {
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
		err = errors.Join(m.Nak(), q.conn.FlushTimeout(flushTimeout))
	} else {
		err = m.DoubleAck(context.WithoutCancel(ctx))
	}
	if err != nil && q.closed.Err() == nil {
		b.log.Warn("acknowledge work", "subject", m.Subject(), "error", err)
	}
}
