package bus

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSubscribeAllGetsWhatWasPublishedBeforeTheEnd(t *testing.T) {
	b := open(t, t.TempDir())
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		ready, got, ended := make(chan struct{}), 0, make(chan error, 1)
		go func() { ended <- b.SubscribeAll(ctx, ready, func(Message) { got++ }, Under(Inferences), Health) }()
		<-ready
		for range 500 {
			b.Publish(Subject(Inferences, "door"), Inference{CameraID: "door"})
		}
		b.Publish(Health, HealthReport{})
		cancel()
		require.NoError(t, <-ended)
		require.Equal(t, 501, got)
	}
}
