package bus

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMissedIsCounted holds a subscriber up until its queue is full.
func TestMissedIsCounted(t *testing.T) {
	b, err := Open(t.Context(), Config{Folder: t.TempDir(), Pending: 4}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	ready, hold, done, got := make(chan struct{}), make(chan struct{}), make(chan error, 1), 0
	go func() {
		done <- b.SubscribeAll(ctx, ready, func(Message) { <-hold; got++ }, ModelsChanged)
	}()
	<-ready
	const sent = 50
	for range sent {
		b.Publish(ModelsChanged, Change{})
	}
	require.NoError(t, b.Flush())
	require.Eventually(t, func() bool { return b.Missed() > 0 }, 10*time.Second, time.Millisecond)
	cancel()
	close(hold)
	require.NoError(t, <-done)
	require.EqualValues(t, sent, uint64(got)+b.Missed(), "what does not arrive is counted, also after the end")
}
