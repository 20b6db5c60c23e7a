package rtsp_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/rtsp"
)

// ear is a sink that listens.
type ear struct {
	mu      sync.Mutex
	formats []pipeline.SoundFormat
	sounds  []pipeline.Sound
	units   []pipeline.Unit
}

func (e *ear) Format(pipeline.Format) {}

func (e *ear) Unit(u pipeline.Unit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.units = append(e.units, u)
}

func (e *ear) SoundFormat(f pipeline.SoundFormat) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.formats = append(e.formats, f)
}

func (e *ear) Sound(s pipeline.Sound) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sounds = append(e.sounds, s)
}

func (e *ear) got() (formats []pipeline.SoundFormat, units, sounds int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append(formats, e.formats...), len(e.units), len(e.sounds)
}

// beside describes sound next to H.264; it comes first where first is set.
func beside(sound string, first bool) func() string {
	video := sdpOf(pipeline.H264, mode1, "a=control:trackID=0")
	return func() string {
		all := video()
		if !first {
			return all + sound
		}
		return strings.Replace(all, "m=video", sound+"m=video", 1)
	}
}

func audio(payload, rtpmap, fmtp string) string {
	s := "m=audio 0 RTP/AVP " + payload + "\r\n"
	if rtpmap != "" {
		s += "a=rtpmap:" + payload + " " + rtpmap + "\r\n"
	}
	if fmtp != "" {
		s += "a=fmtp:" + payload + " " + fmtp + "\r\n"
	}
	return s + "a=control:trackID=1\r\n"
}

const aacHBR = "streamtype=5; profile-level-id=1; mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config=1408"

// TestQuirkSound: cameras offer sound in many ways. Whatever they do with it, the
// video is played.
func TestQuirkSound(t *testing.T) {
	clip := film(t, simulate.Spec{Frames: 25, GOP: 25})
	law := audio("0", "PCMU/8000", "")
	g711 := make([]byte, 160)
	refuse := func(answer string) func(*visit, *base.Request) string {
		return func(_ *visit, req *base.Request) string {
			if req.Method == base.Setup && strings.Contains(req.URL.String(), "trackID=1") {
				if answer == hangup {
					return hangup
				}
				return reply(req, answer, "", "")
			}
			return ""
		}
	}
	for name, tc := range map[string]struct {
		sdp     func() string
		answer  func(*visit, *base.Request) string
		no      bool // it is not wanted
		payload [][]byte
		want    pipeline.SoundFormat
		samples int
		pieces  int // per packet
		setups  int
	}{
		"G.711 µ-law": {beside(law, false), nil, false, [][]byte{g711}, pipeline.SoundFormat{Codec: pipeline.PCMU, Rate: 8000, Channels: 1}, 160, 1, 2},
		"G.711 A-law, stereo, first": {
			beside(audio("97", "PCMA/16000/2", ""), true), nil, false,
			[][]byte{g711},
			pipeline.SoundFormat{Codec: pipeline.PCMA, Rate: 16000, Channels: 2},
			80, 1, 2,
		},
		"AAC, two to a packet": {
			beside(audio("97", "mpeg4-generic/16000/1", aacHBR), true), nil, false,
			[][]byte{{0, 32, 0, 3 << 3, 0, 2 << 3, 1, 2, 3, 4, 5}},
			pipeline.SoundFormat{Codec: pipeline.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}},
			1024, 2, 2,
		},
		"AAC in LATM": {
			beside(audio("97", "MP4A-LATM/16000/1", "profile-level-id=15; object=2; cpresent=0; config=40002810"), false), nil, false,
			[][]byte{{3, 1, 2, 3}},
			pipeline.SoundFormat{Codec: pipeline.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}},
			1024, 1, 2,
		},
		"Opus": {
			beside(audio("97", "opus/48000/2", "sprop-stereo=1"), false), nil, false, [][]byte{{0xfc, 1, 2}}, // 20 ms
			pipeline.SoundFormat{Codec: pipeline.Opus, Rate: 48000, Channels: 2}, 960, 1, 2,
		},
		"a codec that is not kept": {
			beside(audio("97", "G726-32/8000", ""), false), nil, false, nil,
			pipeline.SoundFormat{Missing: "the camera sends its sound as G726-32, which is not kept; set it to AAC, Opus or G.711"},
			0, 0, 1,
		},
		"another, then one that is": {
			beside(strings.Replace(audio("97", "L16/8000", ""), "trackID=1", "trackID=9", 1)+law, false), nil, false,
			[][]byte{g711},
			pipeline.SoundFormat{Codec: pipeline.PCMU, Rate: 8000, Channels: 1},
			160, 1, 2,
		},
		"a way to speak to the camera": {beside(law+"a=sendonly\r\n", false), nil, false, nil, pipeline.SoundFormat{}, 0, 0, 1},
		"none":                         {beside("", false), nil, false, nil, pipeline.SoundFormat{}, 0, 0, 1},
		"it is not wanted":             {beside(law, false), nil, true, nil, pipeline.SoundFormat{}, 0, 0, 1},
		"refused": {
			beside(law, false), refuse("404 Not Found"), false, nil,
			pipeline.SoundFormat{Missing: "the camera offers sound and does not give it"},
			0, 0, 2,
		},
		"refused, other transport": {
			beside(law, false), refuse("461 Unsupported Transport"), false, nil,
			pipeline.SoundFormat{Missing: "the camera offers sound and does not give it"},
			0, 0, 2,
		},
		"the camera hangs up": {
			beside(law, false), refuse(hangup), false, nil,
			pipeline.SoundFormat{Missing: "the camera fails when it is asked for its sound"},
			0, 0, 3,
		},
		"PLAY fails with it": {beside(law, false), func(v *visit, req *base.Request) string {
			if req.Method == base.Play && v.number == 1 {
				return reply(req, "500 Internal Server Error", "", "")
			}
			return ""
		}, false, nil, pipeline.SoundFormat{Missing: "the camera fails when it is asked for its sound"}, 0, 0, 3},
		"it is described and never comes": {
			beside(law, false), nil, false, nil, pipeline.SoundFormat{Codec: pipeline.PCMU, Rate: 8000, Channels: 1}, 0, 0, 2,
		},
		"broken packets": {
			beside(audio("97", "mpeg4-generic/16000/1", aacHBR), false), nil, false,
			[][]byte{{0, 32}, {}, {0, 16, 0xff, 0xff, 1}},
			pipeline.SoundFormat{Codec: pipeline.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}},
			0, 0, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			camera := odd(t, &oddCamera{sdp: tc.sdp, answer: tc.answer, media: func(v *visit) {
				clip.plays(25)(v)
				for i, p := range tc.payload {
					pkt := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SequenceNumber: uint16(i), Timestamp: 80_000, Marker: true}, Payload: p}
					if strings.Contains(tc.sdp(), "AVP 0\r\n") {
						pkt.PayloadType = 0
					}
					b, err := pkt.Marshal()
					if err == nil {
						v.raw(2, b)
					}
				}
				v.send(v.packets.of(clip.codec, clip.full(25), ticks(25))...)
			}})
			src, err := rtsp.New(rtsp.Config{URL: camera.url(), Transport: rtsp.TransportTCP, NoSound: tc.no})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			var e ear
			go func() { done <- src.Run(ctx, &e) }()
			require.Eventually(t, func() bool { _, units, _ := e.got(); return units == 26 }, 10*time.Second, 5*time.Millisecond)
			cancel()
			require.NoError(t, <-done)
			formats, _, sounds := e.got()
			require.NotEmpty(t, formats)
			require.Equal(t, tc.want, formats[len(formats)-1])
			require.Equal(t, tc.pieces, sounds)
			for _, s := range e.sounds {
				require.Equal(t, tc.samples, s.Samples)
			}
			require.Len(t, camera.asked(base.Setup), tc.setups)
		})
	}
}

// TestSoundOverUDP: packets of sound come from a goroutine of their own.
func TestSoundOverUDP(t *testing.T) {
	path := t.TempDir() + "/beep.mp4"
	require.NoError(t, simulate.Generate(path, simulate.Spec{Frames: 50, GOP: 25, Sound: pipeline.AAC}))
	for _, transport := range []rtsp.Transport{rtsp.TransportTCP, rtsp.TransportUDP} {
		server, err := simulate.New(simulate.Config{Listen: "127.0.0.1:0", Files: []string{path}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- server.Run(ctx) }()
		<-server.Ready()
		src, err := rtsp.New(rtsp.Config{URL: server.URLs()[0], Transport: transport})
		require.NoError(t, err)
		done := make(chan error, 1)
		var e ear
		playing, stop := context.WithCancel(ctx)
		go func() { done <- src.Run(playing, &e) }()
		require.Eventually(t, func() bool { _, units, sounds := e.got(); return units > 30 && sounds > 30 }, 20*time.Second, 10*time.Millisecond)
		stop()
		require.NoError(t, <-done)
		cancel()
		require.NoError(t, <-served)
		for i, s := range e.sounds[1:] {
			require.Greater(t, s.PTS, e.sounds[i].PTS)
		}
	}
}
