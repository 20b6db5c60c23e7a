package rtsp

import (
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// TestMendSession: gortsplib sends a keep-alive five seconds before the end that
// it reads, so a third of the session's life is what is wanted of it.
func TestMendSession(t *testing.T) {
	for header, want := range map[string]string{
		"12":                     "12;timeout=25",
		"12;timeout=30":          "12;timeout=15",
		"12; Timeout = 9 ;x=1":   "12;timeout=8",
		"12;timeout=60.0":        "12;timeout=25",
		"12;timeout=0":           "12;timeout=25",
		"12;timeout=-3":          "12;timeout=25",
		"12;timeout=nonsense":    "12;timeout=25",
		"12;timeout=99999999999": "12;timeout=25",
		" 12 ;timeout=3600":      "12;timeout=25",
	} {
		life := 0
		res := &base.Response{StatusCode: base.StatusOK, Header: base.Header{"Session": base.HeaderValue{header}}}
		mend(res, &base.Request{Method: base.Play}, &life)
		require.Equal(t, base.HeaderValue{want}, res.Header["Session"], header)
	}
	life := 30
	res := &base.Response{StatusCode: base.StatusOK, Header: base.Header{"Session": base.HeaderValue{"12"}}}
	mend(res, &base.Request{Method: base.Play}, &life)
	require.Equal(t, base.HeaderValue{"12;timeout=15"}, res.Header["Session"], "what an answer leaves out stays")
}

func FuzzMend(f *testing.F) {
	f.Add("v=0\r\nm=video 0 RTP/AVP 96\r\na=control:x\r\n", "rtsp://user:secret@host/x/", "1;timeout=5", `Digest realm="a", nonce="b"`)
	f.Add("v=0\rm=audio\rm=text\r\x00", "//", ";;=", "Basic")
	asked, err := base.ParseURL("rtsp://camera:554/live")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body, at, session, challenge string) {
		for _, method := range []base.Method{base.Describe, base.Setup} {
			life := 0
			res := &base.Response{StatusCode: base.StatusOK, Body: []byte(body), Header: base.Header{
				"Content-Base": base.HeaderValue{at}, "Session": base.HeaderValue{session}, "Transport": base.HeaderValue{at},
			}}
			mend(res, &base.Request{Method: method, URL: asked, Header: base.Header{"Transport": base.HeaderValue{"interleaved=0-1"}}}, &life)
			if u := res.Header["Content-Base"]; method == base.Describe && len(u) > 0 {
				require.True(t, strings.HasPrefix(u[0], "rtsp://camera:554"), u[0])
			}
		}
		l := login{user: "u", password: "p", cnonce: newCnonce}
		req := &base.Request{Method: base.Describe, URL: asked, Header: base.Header{}}
		if l.refused(base.HeaderValue{challenge}) {
			l.authorize(req)
			require.Len(t, req.Header["Authorization"], 1)
		}
	})
}

// TestAssembleSlices: the slices of a picture are one unit, and the loss of any
// damages it.
func TestAssembleSlices(t *testing.T) {
	pkts := []*rtp.Packet{
		packet(1, 0, false, spsLarge...), packet(2, 0, false, pps...),
		packet(3, 0, false, 0x65, 0x88, 1), packet(4, 0, false, 0x65, 0x22, 2), packet(5, 0, true, 0x65, 0x11, 3),
		packet(6, 1, false, 0x41, 0x9a, 1), packet(7, 1, true, 0x41, 0x22, 1),
		packet(8, 2, false, 0x41, 0x9a, 1), packet(10, 2, true, 0x41, 0x11, 1),
	}
	c := feed(t, h264Format(), pkts)
	require.Len(t, c.units, 3)
	require.Len(t, c.units[0].NALs, 5)
	require.Len(t, c.units[1].NALs, 2)
	require.Equal(t, []bool{false, false, true}, []bool{c.units[0].Damaged, c.units[1].Damaged, c.units[2].Damaged})
}
