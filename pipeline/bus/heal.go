package bus

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
)

// The server's codes for a consumer that cannot be created, as with a file that it
// cannot make sense of, and for one whose file fails (nats-server, JSConsumerCreateErrF
// and JSConsumerStoreFailedErrF).
const (
	createFailed = 10012
	storeFailed  = 10104
)

// consumer opens what remembers the jobs that are done. Where its file is damaged
// it is begun anew: the jobs are with the queue, so none is lost, and one may be
// handed out again.
func (b *Bus) consumer(ctx context.Context, work jetstream.Stream, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	c, err := work.CreateOrUpdateConsumer(ctx, cfg)
	var refused *jetstream.APIError
	if !errors.As(err, &refused) || refused.ErrorCode != createFailed && refused.ErrorCode != storeFailed {
		return c, err
	}
	b.log.Warn("the state of a work queue is damaged and begun anew", "worker", cfg.Durable, "error", err)
	state := filepath.Join(b.folder, "jetstream", "$G", "streams", workStream, "obs", cfg.Durable)
	if removed := os.RemoveAll(state); removed != nil {
		return nil, errors.Join(err, removed)
	}
	return work.CreateOrUpdateConsumer(ctx, cfg)
}
