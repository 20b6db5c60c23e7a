package rtsp_test

import (
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/rtsp"
)

// sprops are parameter sets as a description holds them.
func sprops(sets [][]byte) string {
	var coded []string
	for _, set := range sets {
		coded = append(coded, base64.StdEncoding.EncodeToString(set))
	}
	return strings.Join(coded, ",")
}

// ends checks how a session that cannot work ends.
func ends(t *testing.T, cfg rtsp.Config, want pipeline.State, says string) {
	t.Helper()
	_, err := play(t, cfg, 0, nil)
	state, reason := pipeline.StateOf(err)
	require.Equal(t, want, state, reason)
	require.Contains(t, reason, says)
}

// whole checks the n first units: in order, undamaged, decodable.
func whole(t *testing.T, s *sink, n int) {
	t.Helper()
	s.units = s.units[:n]
	checkUnits(t, s.units)
	checkPictures(t, s)
}

func h264Clip(t *testing.T) *stills { return film(t, simulate.Spec{Frames: 50, GOP: 25}) }

func TestQuirkParameterSets(t *testing.T) {
	clip := h264Clip(t)
	bare := &stills{codec: clip.codec, units: clip.units} // nothing in-band
	sprop := "packetization-mode=1;sprop-parameter-sets=" + sprops(clip.sets)
	for name, tc := range map[string]struct {
		fmtp  string
		clip  *stills
		plays bool
	}{
		"in-band only":           {mode1, clip, true},
		"in the SDP only":        {sprop, bare, true},
		"empty in the SDP":       {"packetization-mode=1;sprop-parameter-sets=", clip, true},
		"garbage in the SDP":     {"packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=", clip, true},
		"no base64 in the SDP":   {"packetization-mode=1;sprop-parameter-sets=%%%,***", clip, true},
		"garbage profile":        {"packetization-mode=1;profile-level-id=zzzz", clip, true},
		"nowhere":                {mode1, bare, false},
		"garbage and none later": {"packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=", bare, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, tc.fmtp), media: tc.clip.plays(50)})
			cfg := rtsp.Config{URL: o.url(), VideoTimeout: 2 * time.Second}
			if !tc.plays {
				cfg.VideoTimeout = 300 * time.Millisecond
				ends(t, cfg, pipeline.StateTimeout, "SPS")
				return
			}
			s, err := play(t, cfg, 40, nil)
			require.NoError(t, err)
			whole(t, s, 40)
			require.Len(t, s.formats, 1)
			require.Equal(t, clip.sets, s.formats[0].ParameterSets)
		})
	}
}

// TestQuirkFormatChange: a camera that is set to another resolution goes on in the
// same session.
func TestQuirkFormatChange(t *testing.T) {
	small, large := h264Clip(t), film(t, simulate.Spec{Width: 640, Height: 360, Frames: 25, GOP: 25})
	o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: func(v *visit) {
		small.plays(50)(v)
		for i := range 25 {
			v.send(v.packets.of(pipeline.H264, large.full(i), ticks(50+i))...)
		}
	}})
	s, err := play(t, rtsp.Config{URL: o.url()}, 75, nil)
	require.NoError(t, err)
	checkUnits(t, s.units)
	require.Len(t, s.formats, 2)
	require.Equal(t, []int{320, 640}, []int{s.formats[0].Width, s.formats[1].Width})
}

// TestQuirkCodecAfterReboot: nothing of the description before is kept.
func TestQuirkCodecAfterReboot(t *testing.T) {
	first, second := h264Clip(t), film(t, simulate.Spec{Codec: pipeline.H265, Frames: 25, GOP: 25})
	current := first
	o := odd(t, &oddCamera{sdp: func() string { return sdpOf(current.codec, "")() }, media: func(v *visit) {
		current.plays(20)(v)
		_ = v.conn.Close()
	}})
	src, err := rtsp.New(rtsp.Config{URL: o.url()})
	require.NoError(t, err)
	for _, clip := range []*stills{first, second} {
		current = clip
		s := &sink{}
		state, _ := pipeline.StateOf(src.Run(t.Context(), s))
		require.Equal(t, pipeline.StateLost, state)
		require.Equal(t, clip.codec, s.formats[0].Codec)
		require.Len(t, s.units, 20)
		whole(t, s, 20)
	}
}

// TestQuirkTimeStamps: whatever the RTP clock does, units come out in order.
func TestQuirkTimeStamps(t *testing.T) {
	clip := h264Clip(t)
	for name, stamp := range map[string]func(n int) uint32{
		"forwards":  func(n int) uint32 { return ticks(n) + uint32(n/20)*9800*90000 },
		"backwards": func(n int) uint32 { return ticks(n) - uint32(n/20)*9800*90000 },
		"there and back (Intelbras)": func(n int) uint32 {
			if n == 20 {
				return ticks(n) + 9800*90000
			}
			return ticks(n)
		},
		"reset":     func(n int) uint32 { return ticks(n%20) + uint32(1-min(n/20, 1))*2000000000 },
		"a bit":     func(n int) uint32 { return ticks(n) - uint32(n/20)*2*90000 },
		"wraps":     func(n int) uint32 { return ticks(n) - 90000 },
		"stands":    func(int) uint32 { return 7 },
		"1 fps":     func(n int) uint32 { return uint32(n) * 90000 },
		"60 fps":    func(n int) uint32 { return uint32(n) * 1500 },
		"5, 30, 2":  func(n int) uint32 { return []uint32{0, 18000, 21000, 66000}[n%4] + uint32(n/4)*111000 },
		"quarter s": func(n int) uint32 { return ticks(n) / 22500 * 22500 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: func(v *visit) {
				for i := range 50 {
					pkts := v.packets.of(clip.codec, clip.full(i), stamp(i))
					v.send(pkts...)
				}
			}})
			s, err := play(t, rtsp.Config{URL: o.url()}, 50, nil)
			require.NoError(t, err)
			whole(t, s, 50)
			require.Less(t, s.units[49].PTS, 120*time.Second)
		})
	}
}

// TestQuirkSequence: sequence numbers and sources that begin anew cost the pictures
// up to the next key picture, not the session.
func TestQuirkSequence(t *testing.T) {
	clip := h264Clip(t)
	for name, change := range map[string]func(p *rtp.Packet){
		"sequence resets": func(p *rtp.Packet) { p.SequenceNumber += 30000 },
		"sequence falls":  func(p *rtp.Packet) { p.SequenceNumber -= 3000 },
		"SSRC changes":    func(p *rtp.Packet) { p.SSRC++; p.SequenceNumber += 777 },
	} {
		for _, transport := range []rtsp.Transport{rtsp.TransportTCP, rtsp.TransportUDP} {
			t.Run(name+" "+string(transport), func(t *testing.T) {
				t.Parallel()
				o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: func(v *visit) {
					for i := range 400 {
						pkts := v.packets.of(clip.codec, clip.full(i), ticks(i))
						for _, p := range pkts {
							if i >= 30 {
								change(p)
							}
							v.send(p)
							if v.client[0] != nil {
								<-time.After(time.Millisecond)
							}
						}
					}
				}})
				s, err := play(t, rtsp.Config{URL: o.url(), Transport: transport}, 250, nil)
				require.NoError(t, err)
				require.False(t, s.units[249].Damaged, "it heals")
				for i := 1; i < len(s.units); i++ {
					require.Greater(t, s.units[i].DTS, s.units[i-1].DTS)
					if s.units[i-1].Damaged && !s.units[i].Damaged {
						require.True(t, s.units[i].Key)
					}
				}
			})
		}
	}
}

// TestQuirkUDPLossAndOrder: packets that overtake each other are put in order; what
// is lost marks pictures as damaged up to the next key picture.
func TestQuirkUDPLossAndOrder(t *testing.T) {
	clip := h264Clip(t)
	for name, percent := range map[string]int{"order": 0, "1 %": 1, "5 %": 5, "20 %": 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(percent)))
			o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: func(v *visit) {
				var pkts []*rtp.Packet
				for i := range 400 {
					for _, p := range v.packets.of(clip.codec, clip.full(i), ticks(i)) {
						if i == 0 || random.IntN(100) >= percent {
							pkts = append(pkts, p)
						}
					}
				}
				for i := 1; i+4 < len(pkts); i += 4 {
					random.Shuffle(4, func(a, b int) { pkts[i+a], pkts[i+b] = pkts[i+b], pkts[i+a] })
				}
				for _, p := range pkts {
					v.send(p)
					<-time.After(500 * time.Microsecond)
				}
			}})
			s, err := play(t, rtsp.Config{URL: o.url(), Transport: rtsp.TransportUDP}, 150, nil)
			require.NoError(t, err)
			damaged := 0
			for i, u := range s.units[:150] {
				if u.Damaged {
					damaged++
				} else if i > 0 && s.units[i-1].Damaged {
					require.True(t, u.Key, "only a whole key picture heals")
				}
			}
			if percent == 0 {
				require.Zero(t, damaged)
				return
			}
			require.Positive(t, damaged)
		})
	}
}

// TestQuirkDescriptions: what cameras write into their descriptions.
func TestQuirkDescriptions(t *testing.T) {
	clip := h264Clip(t)
	usual := sdpOf(pipeline.H264, mode1)()
	const h = "Content-Type: application/sdp\r\n"
	for name, tc := range map[string]struct {
		headers, sdp string
		setup, play  string // the paths asked for; HOST is the camera's
	}{
		"usual":                     {h, usual, "/live/trackID=0", "/live"},
		"lines end in LF":           {h, strings.ReplaceAll(usual, "\r\n", "\n"), "", ""},
		"lines end in CR":           {h, strings.ReplaceAll(usual, "\r\n", "\r"), "", ""},
		"empty lines, zero at end":  {h, strings.ReplaceAll(usual, "a=rtpmap", "\r\n\r\na=rtpmap") + "\x00", "", ""},
		"spaces at line ends":       {h, strings.ReplaceAll(usual, "\r\n", " \r\n"), "", ""},
		"no end of the last line":   {h, strings.TrimSpace(usual), "", ""},
		"no control":                {h, sdpOf(pipeline.H264, mode1, []string{}...)(), "", ""},
		"control of all is *":       {h, strings.Replace(usual, "t=0 0", "t=0 0\r\na=control:*", 1), "/live/trackID=0", "/live"},
		"control of all is a word":  {h, strings.Replace(usual, "t=0 0", "t=0 0\r\na=control:all", 1), "/live/trackID=0", "/live"},
		"control of all, elsewhere": {h, strings.Replace(usual, "t=0 0", "t=0 0\r\na=control:rtsp://192.0.2.9/agg/", 1), "/agg/trackID=0", "/agg/"},
		"absolute control":          {h, strings.Replace(usual, "a=control:trackID=0", "a=control:rtsp://192.0.2.9:99/v/1", 1), "/v/1", "/live"},
		"control with query":        {h, strings.Replace(usual, "trackID=0", "?ctype=video", 1), "/live?ctype=video", "/live"},
		"base":                      {h + "Content-Base: rtsp://HOST/base/\r\n", usual, "/base/trackID=0", "/base/"},
		"base with a login":         {h + "Content-Base: rtsp://root:hunter2@HOST/base/\r\n", usual, "/base/trackID=0", "/base/"},
		"base at another address":   {h + "Content-Base: rtsp://192.0.2.9:5544/base/\r\n", usual, "/base/trackID=0", "/base/"},
		"base is a path":            {h + "Content-Base: /base/\r\n", usual, "/base/trackID=0", "/base/"},
		"base without scheme":       {h + "Content-Base: 192.0.2.9/base/\r\n", usual, "/live/trackID=0", "/live"},
		"base is empty":             {h + "Content-Base: \r\n", usual, "/live/trackID=0", "/live"},
		"no type":                   {"", usual, "", ""},
		"type with charset":         {"Content-Type: application/sdp;charset=utf-8\r\n", usual, "", ""},
		"wrong type":                {"Content-Type: text/plain\r\n", usual, "", ""},
		"spaces after CSeq":         {h + "X-Odd:   \r\n", usual, "", ""},
		"an odd sound":              {h, strings.Replace(usual, "m=video", "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 odd/1\r\nm=video", 1), "", ""},
		"a broken sound":            {h, strings.Replace(usual, "m=video", "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/x\r\nm=video", 1), "", ""},
		"ONVIF metadata":            {h, strings.Replace(usual, "m=video", "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\nm=video", 1), "", ""},
		"subtitles":                 {h, strings.Replace(usual, "m=video", "m=text 0 RTP/AVP 98\r\nm=video", 1), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := odd(t, &oddCamera{sdp: func() string { return tc.sdp }, media: clip.plays(30)})
			host := o.ln.Addr().String()
			o.answer = func(_ *visit, req *base.Request) string {
				if len(req.Header["Authorization"]) == 0 {
					return unauthorized(req, `Basic realm="cam"`)
				}
				if req.Method == base.Describe {
					return reply(req, "200 OK", strings.ReplaceAll(tc.headers, "HOST", host), tc.sdp)
				}
				return ""
			}
			s, err := play(t, rtsp.Config{URL: o.url(), Username: user, Password: password}, 25, nil)
			require.NoError(t, err)
			whole(t, s, 25)
			for _, m := range []base.Method{base.Setup, base.Play} {
				r := o.asked(m)
				require.Len(t, r, 1)
				require.Equal(t, host, r[0].URL.Host, "no other address is named")
				require.Nil(t, r[0].URL.User)
				if want := map[base.Method]string{base.Setup: tc.setup, base.Play: tc.play}[m]; want != "" {
					require.Equal(t, want, r[0].URL.RequestURI())
				}
			}
		})
	}
}

// TestQuirkAnswers: odd answers to requests, and a session that works all the same.
func TestQuirkAnswers(t *testing.T) {
	clip := h264Clip(t)
	for name, answer := range map[string]func(v *visit, req *base.Request) string{
		"no OPTIONS": func(_ *visit, req *base.Request) string {
			if req.Method == base.Options {
				return reply(req, "501 Not Implemented", "", "")
			}
			return ""
		},
		"no status text": func(_ *visit, req *base.Request) string {
			if req.Method == base.Play {
				return reply(req, "200", "Session: 4711\r\n", "")
			}
			return ""
		},
		"spaces in CSeq": func(v *visit, req *base.Request) string {
			return strings.Replace(v.usual(req), "CSeq: ", "CSeq:   ", 1)
		},
		"a new session id at PLAY": func(_ *visit, req *base.Request) string {
			if req.Method == base.Play {
				return reply(req, "200 OK", "Session: 9;timeout=60\r\n", "")
			}
			return ""
		},
		"no channels in the answer": func(_ *visit, req *base.Request) string {
			if req.Method == base.Setup {
				return reply(req, "200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;unicast\r\n", "")
			}
			return ""
		},
		"other channels": func(v *visit, req *base.Request) string {
			if req.Method == base.Setup {
				v.channel = 4
				return reply(req, "200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=4-5\r\n", "")
			}
			return ""
		},
		"session without an end": func(_ *visit, req *base.Request) string {
			if req.Method == base.Setup {
				return reply(req, "200 OK", "Session: 1;timeout=0\r\nTransport: "+req.Header["Transport"][0]+"\r\n", "")
			}
			return ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: clip.plays(30), answer: answer})
			s, err := play(t, rtsp.Config{URL: o.url()}, 25, nil)
			require.NoError(t, err)
			whole(t, s, 25)
		})
	}
}

// TestQuirkStreams: what cameras make of H.264 over RTP.
func TestQuirkStreams(t *testing.T) {
	clip := h264Clip(t)
	bframes := film(t, simulate.Spec{Frames: 50, GOP: 25, BFrames: 3})
	h265 := film(t, simulate.Spec{Codec: pipeline.H265, Frames: 50, GOP: 25, BFrames: 3})
	huge := film(t, simulate.Spec{Width: 3840, Height: 2160, Frames: 6, GOP: 25})
	for name, tc := range map[string]struct {
		clip  *stills
		n     int
		media func(v *visit)
	}{
		"B-frames": {bframes, 40, func(v *visit) {
			for i := range 50 {
				v.send(v.packets.of(bframes.codec, bframes.full(i), uint32(bframes.pts[i]*90000/time.Second))...)
			}
		}},
		"B-frames, H.265": {h265, 40, func(v *visit) {
			for i := range 50 {
				v.send(v.packets.of(h265.codec, h265.full(i), uint32(h265.pts[i]*90000/time.Second))...)
			}
		}},
		"4K": {huge, 6, huge.plays(7)},
		"no marker bits": {clip, 40, func(v *visit) {
			for i := range 50 {
				for _, p := range v.packets.of(clip.codec, clip.full(i), ticks(i)) {
					p.Marker = false
					v.send(p)
				}
			}
		}},
		"marker on every NAL unit": {clip, 40, func(v *visit) {
			for i := range 50 {
				for _, nal := range clip.full(i) {
					v.send(v.packets.of(clip.codec, [][]byte{nal}, ticks(i))...)
				}
			}
		}},
		"sets with a time of their own": {clip, 40, func(v *visit) {
			for i := range 50 {
				if i%25 == 0 {
					v.send(v.packets.of(clip.codec, clip.sets, ticks(i)-1)...)
				}
				v.send(v.packets.of(clip.codec, clip.units[i], ticks(i))...)
			}
		}},
		"Annex B in RTP": {clip, 40, func(v *visit) {
			for i := range 50 {
				var all []byte
				for _, nal := range clip.full(i) {
					all = append(append(all, 0, 0, 0, 1), nal...)
				}
				v.send(v.packets.of(clip.codec, [][]byte{all[4:]}, ticks(i))...)
			}
		}},
		"empty packets and unknown NAL units": {clip, 40, func(v *visit) {
			for i := range 50 {
				nals := append([][]byte{{9, 0xf0}, {12, 255, 255}, {31, 1, 2}}, clip.full(i)...)
				v.send(v.packets.of(clip.codec, nals, ticks(i))...)
			}
		}},
		"old session's channels": {clip, 40, func(v *visit) {
			for i := range 50 {
				v.write([]byte{'$', 6, 0, 3, 1, 2, 3})
				v.send(v.packets.of(clip.codec, clip.full(i), ticks(i))...)
			}
		}},
		"other payload types": {clip, 40, func(v *visit) {
			for i := range 50 {
				v.raw(0, []byte{0x80, 101, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3})
				v.send(v.packets.of(clip.codec, clip.full(i), ticks(i))...)
			}
		}},
		"wrong sizes": {clip, 40, func(v *visit) {
			for i := range 50 {
				v.raw(0, nil)
				v.raw(0, []byte{0x80})
				v.raw(1, []byte{0x80, 200, 0, 99})
				v.raw(0, []byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 250}) // padding longer than the packet
				v.send(v.packets.of(clip.codec, clip.full(i), ticks(i))...)
			}
		}},
		"bytes between frames": {clip, 40, func(v *visit) {
			for i := range 50 {
				v.send(v.packets.of(clip.codec, clip.full(i), ticks(i))...)
				v.write([]byte{0, 1, 2})
			}
		}},
		"slow first key picture": {clip, 25, func(v *visit) {
			for i := range 25 {
				v.send(v.packets.of(clip.codec, clip.units[1+i%24], ticks(i))...)
			}
			for i := range 30 {
				v.send(v.packets.of(clip.codec, clip.full(i), ticks(25+i))...)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fmtp := mode1
			if tc.clip.codec == pipeline.H265 {
				fmtp = ""
			}
			o := odd(t, &oddCamera{sdp: sdpOf(tc.clip.codec, fmtp), media: tc.media})
			s, err := play(t, rtsp.Config{URL: o.url()}, tc.n, nil)
			require.NoError(t, err)
			whole(t, s, tc.n)
		})
	}
}

// TestQuirkCorruption: bytes that are wrong spoil pictures, not the session.
func TestQuirkCorruption(t *testing.T) {
	clip := h264Clip(t)
	random := rand.New(rand.NewPCG(3, 4))
	o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: func(v *visit) {
		for i := range 200 {
			for _, p := range v.packets.of(clip.codec, clip.full(i), ticks(i)) {
				p.Payload = slices.Clone(p.Payload)
				if i > 5 && random.IntN(3) == 0 {
					p.Payload[random.IntN(len(p.Payload))] ^= byte(1 + random.IntN(255))
				}
				if i > 5 && random.IntN(10) == 0 {
					p.Payload = p.Payload[:random.IntN(len(p.Payload))]
				}
				v.send(p)
			}
		}
	}})
	s, err := play(t, rtsp.Config{URL: o.url()}, 150, nil)
	require.NoError(t, err)
	for i := 1; i < len(s.units); i++ {
		require.Greater(t, s.units[i].DTS, s.units[i-1].DTS)
	}
}

// TestQuirkSilence: each way of sending nothing that can be shown ends in one
// state and says which it was.
func TestQuirkSilence(t *testing.T) {
	clip := h264Clip(t)
	for name, tc := range map[string]struct {
		media func(v *visit)
		state pipeline.State
		says  string
	}{
		"only N clients get video": {nil, pipeline.StateTimeout, "sends no video"},
		"half-open connection":     {clip.plays(10), pipeline.StateTimeout, "stopped sending"},
		"closes after PLAY":        {func(v *visit) { _ = v.conn.Close() }, pipeline.StateLost, "broke"},
		"no key picture": {func(v *visit) {
			for i := range 500 {
				v.send(v.packets.of(clip.codec, clip.units[1+i%24], ticks(i))...)
				<-time.After(10 * time.Millisecond)
			}
		}, pipeline.StateTimeout, "key frame"},
		"RTP and RTCP mixed up": {func(v *visit) {
			v.channel = 1
			clip.plays(10)(v)
		}, pipeline.StateTimeout, "sends no video"},
		"packets without pictures": {func(v *visit) {
			for i := range 10 {
				v.send(v.packets.of(clip.codec, [][]byte{{9, 0xf0}}, ticks(i))...)
			}
		}, pipeline.StateTimeout, "cannot be read"},
		"ends the session": {func(v *visit) {
			v.write([]byte("TEARDOWN rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"))
		}, pipeline.StateLost, "broke"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1+";sprop-parameter-sets="+sprops(clip.sets)), media: tc.media})
			ends(t, rtsp.Config{URL: o.url(), VideoTimeout: 400 * time.Millisecond}, tc.state, tc.says)
		})
	}
}

// TestQuirkSenderReports: capture times follow the camera's clock only while it is
// plausible, and a new source needs a report of its own.
func TestQuirkSenderReports(t *testing.T) {
	clip := h264Clip(t)
	for name, tc := range map[string]struct {
		ahead time.Duration
		clock frame.Clock
	}{
		"right":              {0, frame.ClockRTCP},
		"never set":          {-56 * 365 * 24 * time.Hour, frame.ClockArrival},
		"local time as UTC":  {2 * time.Hour, frame.ClockArrival},
		"half a second slow": {-500 * time.Millisecond, frame.ClockRTCP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: func(v *visit) {
				began := time.Now()
				for i := range 50 {
					now := time.Now()
					stamp := uint32(now.Sub(began) * 9 / 100_000)
					pkts := v.packets.of(clip.codec, clip.full(i), stamp)
					if i%10 == 0 {
						at := now.Add(tc.ahead)
						ntp := uint64(at.Unix()+2208988800)<<32 | uint64(at.Nanosecond())<<32/1e9
						sr, err := (&rtcp.SenderReport{SSRC: pkts[0].SSRC, NTPTime: ntp, RTPTime: stamp}).Marshal()
						if err != nil {
							panic(err)
						}
						v.raw(1, sr)
					}
					v.send(pkts...)
					<-time.After(4 * time.Millisecond)
				}
			}})
			began := time.Now()
			s, err := play(t, rtsp.Config{URL: o.url()}, 45, nil)
			require.NoError(t, err)
			for _, u := range s.units[:45] {
				require.Equal(t, tc.clock, u.Clock)
				require.WithinRange(t, u.Time, began.Add(-u.TimeError), time.Now().Add(u.TimeError))
				require.WithinDuration(t, u.Arrived, u.Time, u.TimeError+100*time.Millisecond)
			}
		})
	}
}
