package e2e

import (
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

// cameraIDs are the ids of all cameras.
func cameraIDs(t *testing.T, d *daemon) (ids []string) {
	t.Helper()
	for _, c := range list[camera](t, d.client, "/cameras") {
		ids = append(ids, c.ID)
	}
	return ids
}

// TestBadCameraAddress: an address that cannot be one is refused, and no camera
// comes of it.
func TestBadCameraAddress(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	before := cameraIDs(t, d)
	for address, says := range map[string]string{
		"":                                  "",
		"rtsp://":                           "no host",
		"rtsp:/one-slash":                   "must start with rtsp://",
		"http://127.0.0.1/x":                "must start with rtsp://",
		"exec:reboot":                       "must start with rtsp://",
		"rtsp://viewer:c4nary@host:99999/":  "port",
		"rtsp://viewer:c4/nary@127.0.0.1/x": "%2F",
		"rtsp://viewer:c4nary@ho st/x":      "spaces",
		"rtsp://viewer:c4nary@[::1/x":       "",
		"/etc/passwd":                       "sources.folders",
		"file:///etc/passwd":                "sources.folders",
	} {
		a := d.send(t, http.MethodPost, "/api/v1/cameras", body{"name": "Bad", "url": address})
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, "%s: %s", address, a.Body)
		require.Contains(t, string(a.Body), says, address)
		require.NotContains(t, string(a.Body), "c4nary", address)
		require.NotContains(t, string(a.Body), "nary@", address)
	}
	good := d.camera(t, "good")
	refused(t, d.send(t, http.MethodPut, "/api/v1/cameras/good", body{"name": "Bad", "url": "nonsense"}),
		http.StatusUnprocessableEntity, "must start with rtsp://")
	require.Equal(t, good.Revision, d.camera(t, "good").Revision)
	require.Equal(t, before, cameraIDs(t, d))
	d.goesOn(t, "good")
}

const vp8 = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"

// TestBadCameras: each says what is wrong with it and tries again later, and
// the good one goes on.
func TestBadCameras(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	locked, _ := serve(t, simulate.Config{
		Files: []string{plain(t, pipeline.H264)}, Auth: "digest", Username: "viewer", Password: "right",
	})
	hangs, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	require.NoError(t, err)
	defer hangs.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())

	cases := map[string]struct {
		url, state, says string
		more             body
	}{
		"refuses":     {"rtsp://" + closed.Addr().String() + "/x", "refused", "refused the connection", nil},
		"unknown":     {"rtsp://no-such-host.invalid/x", "refused", "host name", nil},
		"hangs":       {"rtsp://" + hangs.Addr().String() + "/x", "timeout", "did not answer in time", nil},
		"wrong-login": {locked.URLs()[0], "auth_failed", "another user or password", body{"username": "viewer", "password": "c4nary"}},
		"no-login":    {locked.URLs()[0], "auth_failed", "wants a user and a password", nil},
		"wrong-path":  {plainCamera(t) + "-nonsense", "not_found", "does not know the path", nil},
		"sound-only":  {scripted(t, describes("m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n")), "no_video", "no video", nil},
		"vp8":         {scripted(t, describes(vp8)), "unsupported_codec", "set it to H.264, H.265 or MJPEG", nil},
		"hangs-up":    {scripted(t, func(string) string { return "" }), "refused", "closed the connection", nil},
		"no-rtsp":     {strings.Replace(d.base, "http://", "rtsp://", 1) + "/", "", "", nil},
	}
	for id, c := range cases {
		more := body{"id": id}
		maps.Copy(more, c.more)
		d.addCamera(t, id, c.url, more)
	}
	for id, c := range cases {
		t.Run(id, func(t *testing.T) {
			soon(t, func(t require.TestingT) {
				s := d.camera(t, id).Status
				require.NotContains(t, []string{"connecting", "running"}, s.State)
				if c.state != "" {
					require.Equal(t, c.state, s.State, s.Reason)
				}
				require.Contains(t, s.Reason, c.says)
				require.NotEmpty(t, s.Reason)
				require.NotContains(t, s.Reason, "c4nary")
				require.False(t, s.NextTry.IsZero(), "it is tried again")
				require.Zero(t, s.Frames)
			})
			soon(t, func(t require.TestingT) { require.Positive(t, d.camera(t, id).Status.Reconnects) })
		})
	}
	// Everybody can read of it.
	soon(t, func(t require.TestingT) {
		told := map[string]bool{}
		for _, e := range list[loggedEvent](t, d.client, "/events?kind=camera.state") {
			told[e.CameraID] = true
		}
		for id := range cases {
			require.Contains(t, told, id)
		}
	})
	d.goesOn(t, "good")
	// One that is put right works.
	d.change(t, "wrong-login", body{"name": "x", "url": locked.URLs()[0], "password": "right"})
	d.becomes(t, "wrong-login", "running")
}

// back is how soon the issue wants frames again after a camera's return.
const back = 10 * time.Second

// TestCameraVanishesAndReturns: frames flow again less than ten seconds after
// the camera has returned, however it went.
func TestCameraVanishesAndReturns(t *testing.T) {
	t.Parallel()
	files := []string{plain(t, pipeline.H264)}
	d := withCamera(t)
	server, stop := serve(t, simulate.Config{Files: files})
	address := server.URLs()[0]
	d.addCamera(t, "Gate", address, nil)
	d.becomes(t, "gate", "running")
	returns := func(about string) {
		began, before := time.Now(), d.camera(t, "gate").Status
		soon(t, func(t require.TestingT) {
			s := d.camera(t, "gate").Status
			require.Equal(t, "running", s.State, s.Reason)
			require.Greater(t, s.Frames, before.Frames)
		}, about)
		t.Logf("%s: frames again after %s", about, time.Since(began).Round(10*time.Millisecond))
		require.Less(t, time.Since(began), back, about)
	}

	server.DropClients() // as a camera that restarts
	soon(t, func(t require.TestingT) { require.Positive(t, d.camera(t, "gate").Status.Reconnects) })
	returns("connection broken")

	server.Pause() // as one that hangs
	soon(t, func(t require.TestingT) { require.NotEqual(t, "running", d.camera(t, "gate").Status.State) })
	server.Resume()
	returns("video stopped")

	stop() // as one without power
	soon(t, func(t require.TestingT) {
		s := d.camera(t, "gate").Status
		require.Contains(t, []string{"refused", "lost"}, s.State)
		require.NotEmpty(t, s.Reason)
	})
	soon(t, func(t require.TestingT) { require.Equal(t, "refused", d.camera(t, "gate").Status.State) })
	d.goesOn(t, "good")
	_, _ = serve(t, simulate.Config{Files: files, Listen: strings.TrimSuffix(strings.TrimPrefix(address, "rtsp://"), "/h264")})
	returns("switched off")

	// Frames are counted on, and none is there twice.
	frames := list[annotation](t, d.client, "/annotations?camera_id=gate")
	for i, a := range frames {
		require.Equal(t, uint64(i+1), a.Frame)
		if i > 0 {
			require.True(t, a.Time.After(frames[i-1].Time), "%s after %s", a.Time, frames[i-1].Time)
		}
	}
}
