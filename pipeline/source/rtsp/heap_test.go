package rtsp_test

import (
	"context"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/rtsp"
)

const heapPicture = 10 << 10 // bytes of a coded picture

// stream sends pictures of heapPicture bytes over TCP without end and without
// allocating: what is allocated is the receiver's.
func stream(film *stills) func(v *visit) {
	var wire [][]byte // by picture, as it goes over the connection
	p := newPackets()
	for i := range film.units {
		nals := append([][]byte{}, film.full(i)...)
		last := len(nals) - 1
		nals[last] = append([]byte{}, nals[last]...)
		for len(nals[last]) < heapPicture {
			nals[last] = append(nals[last], 0xaa)
		}
		var b []byte
		for _, pkt := range p.of(film.codec, nals, 0) {
			raw, err := pkt.Marshal()
			if err != nil {
				panic(err)
			}
			b = append(b, '$', 0, byte(len(raw)>>8), byte(len(raw)))
			b = append(b, raw...)
		}
		wire = append(wire, b)
	}
	return func(v *visit) {
		sequence := uint16(0)
		for n := uint32(0); ; n++ {
			b := wire[n%uint32(len(wire))]
			for at := 0; at < len(b); at += 4 + int(binary.BigEndian.Uint16(b[at+2:])) {
				binary.BigEndian.PutUint16(b[at+6:], sequence)
				binary.BigEndian.PutUint32(b[at+8:], 3600*n)
				sequence++
			}
			if _, err := v.conn.Write(b); err != nil {
				return
			}
		}
	}
}

// meter measures what is allocated per picture once the stream flows.
type meter struct {
	n, warm, want int
	before, after runtime.MemStats
	done          context.CancelFunc
}

func (m *meter) picture() {
	switch m.n++; m.n {
	case m.warm:
		runtime.ReadMemStats(&m.before)
	case m.warm + m.want:
		runtime.ReadMemStats(&m.after)
		m.done()
	}
}

func (m *meter) Format(pipeline.Format) {}
func (m *meter) Unit(pipeline.Unit)     { m.picture() }

// BenchmarkHeap is what receiving a picture of 10 KiB costs the heap: for gortsplib
// alone, which is the least that is possible with it, and up to the unit.
func BenchmarkHeap(b *testing.B) {
	film := film(b, simulate.Spec{FPS: 25, Frames: 25, GOP: 25, Width: 128, Height: 64})
	for name, receive := range map[string]func(ctx context.Context, url string, m *meter){
		"gortsplib": func(ctx context.Context, url string, m *meter) {
			u, err := base.ParseURL(url)
			require.NoError(b, err)
			tcp := gortsplib.ProtocolTCP
			c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &tcp}
			require.NoError(b, c.Start())
			defer c.Close()
			desc, _, err := c.Describe(u)
			require.NoError(b, err)
			require.NoError(b, c.SetupAll(desc.BaseURL, desc.Medias))
			c.OnPacketRTPAny(func(_ *description.Media, _ format.Format, pkt *rtp.Packet) {
				if pkt.Marker {
					m.picture()
				}
			})
			_, err = c.Play(nil)
			require.NoError(b, err)
			<-ctx.Done()
		},
		"source": func(ctx context.Context, url string, m *meter) {
			src, err := rtsp.New(rtsp.Config{URL: url})
			require.NoError(b, err)
			require.NoError(b, src.Run(ctx, m))
		},
	} {
		b.Run(name, func(b *testing.B) {
			o := odd(b, &oddCamera{sdp: sdpOf(pipeline.H264, ""), media: stream(film)})
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			m := &meter{warm: 100, want: max(b.N, 1000), done: cancel}
			receive(ctx, o.url(), m)
			b.ReportMetric(float64(m.after.TotalAlloc-m.before.TotalAlloc)/float64(m.want), "B/picture")
			b.ReportMetric(float64(m.after.Mallocs-m.before.Mallocs)/float64(m.want), "allocs/picture")
		})
	}
}
