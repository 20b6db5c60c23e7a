package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrPaused is returned for work while the queues take none: they are closed, see
// Pause, or their files have failed.
var ErrPaused = errors.New("the work queues take nothing now")

// queues are the work queues while their files are open.
type queues struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	work   jetstream.Stream
	closed context.Context //nolint:containedctx // ends with them
	end    context.CancelFunc
}

// Pause closes the files of the work queues, so that nothing is written there, in
// the background neither, or opens them. Meanwhile work is refused with ErrPaused,
// workers wait, and all else on the bus goes on. A job that is being done then is
// handed out again. The owner pauses them while the disk is nearly full: a write
// that fails would leave the server refusing all that follows, which opening the
// files anew mends; see Writable.
func (b *Bus) Pause(pause bool) error {
	b.pausing.Lock()
	defer b.pausing.Unlock()
	if q := b.queues.Load(); q != nil && (pause || b.failed.Load()) {
		b.queues.Store(nil)
		q.close()
	}
	if pause || b.queues.Load() != nil {
		return nil
	}
	return b.openQueues(context.Background())
}

// close ends the server of the queues with all that uses it. A server that only gave
// up its JetStream would leave goroutines behind each time (nats-server 2.15).
func (q *queues) close() {
	q.end()
	q.conn.Close()
	stop(q.server)
}

// Writable says whether the queues take work. When their files have failed it is
// false until Pause opens them anew.
func (b *Bus) Writable() bool { return b.queues.Load() != nil && !b.failed.Load() }

// Opened waits until the queues take work, and returns the error of ctx when that
// ends before.
func (b *Bus) Opened(ctx context.Context) error {
	_, err := b.opened(ctx)
	return err
}

func (b *Bus) opened(ctx context.Context) (*queues, error) {
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		if q := b.queues.Load(); q != nil && !b.failed.Load() {
			return q, ctx.Err()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// openQueues starts a server on the files of the queues.
func (b *Bus) openQueues(ctx context.Context) error {
	q := &queues{}
	var err error
	q.server, q.conn, err = b.serve(&server.Options{
		JetStream: true, StoreDir: b.folder, SyncAlways: true,
		JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore, MaxPayload: maxPayload,
	})
	if err != nil {
		return fmt.Errorf("open work queues: %w", err)
	}
	q.closed, q.end = context.WithCancel(context.Background())
	if err := q.open(ctx); err != nil {
		q.close()
		return fmt.Errorf("open work queues: %w", err)
	}
	b.failed.Store(false)
	b.queues.Store(q)
	b.mu.Lock()
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
	return nil
}

// open opens the stream, which the server has read from its files.
func (q *queues) open(ctx context.Context) (err error) {
	if q.js, err = jetstream.New(q.conn); err != nil {
		return err
	}
	q.work, err = q.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: workStream, Subjects: []string{subjectRoot + "work.>"},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		Duplicates: duplicates, MaxBytes: maxWork, Discard: jetstream.DiscardNew,
	})
	return err
}

// fail notes that the files of the queues have failed: they take nothing more until
// they are opened anew.
func (b *Bus) fail(what string, err error) {
	if b.failed.CompareAndSwap(false, true) {
		b.log.Warn("the work queues have to be opened anew", "doing", what, "error", err)
	}
}
