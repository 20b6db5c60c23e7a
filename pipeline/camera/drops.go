package camera

import (
	"sync/atomic"

	"detectd/pipeline"
)

// drops are the counters behind pipeline.Drops.
type drops struct {
	packets, source, decode, late, noKey, noDecoder, corrupt, empty, closed atomic.Uint64
	damaged, stale, noModel, failed, outrun, record, store, live            atomic.Uint64
}

func (d *drops) read() pipeline.Drops {
	return pipeline.Drops{
		Packets: d.packets.Load(), Source: d.source.Load(), Decode: d.decode.Load(), Late: d.late.Load(),
		NoKey: d.noKey.Load(), NoDecoder: d.noDecoder.Load(), Corrupt: d.corrupt.Load(), Empty: d.empty.Load(),
		Closed: d.closed.Load(), Damaged: d.damaged.Load(), Stale: d.stale.Load(), NoModel: d.noModel.Load(),
		Failed: d.failed.Load(), Outrun: d.outrun.Load(), Record: d.record.Load(), Store: d.store.Load(), Live: d.live.Load(),
	}
}

var _ pipeline.Losses = (*Worker)(nil)

// Lost implements pipeline.Losses.
func (w *Worker) Lost(packets, pictures int) {
	w.drops.packets.Add(uint64(max(0, packets)))
	w.drops.source.Add(uint64(max(0, pictures)))
}
