package rtsp_test

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/source/rtsp"
)

func TestPasswordInPath(t *testing.T) {
	for _, tc := range []struct{ raw, clean, user, pass string }{
		{"rtsp://h/cam?user=admin&password=hunter2&channel=1", "rtsp://h/cam?user=admin&password=***&channel=1", "admin", "hunter2"},
		{"rtsp://h/user=admin&password=hunter2&channel=1&stream=0.sdp?real", "rtsp://h/user=admin&password=***&channel=1&stream=0.sdp?real", "admin", "hunter2"},
		{"rtsp://h/user=admin_password=hunter2_channel=1_stream=0.sdp?real_stream", "rtsp://h/user=admin_password=***_channel=1_stream=0.sdp?real_stream", "admin", "hunter2"},
		{"rtsp://h/x?PWD=hun_ter2", "rtsp://h/x?PWD=***", "", "hun_ter2"},
		{"rtsp://h/x?pass=hun%26ter2", "rtsp://h/x?pass=***", "", "hun&ter2"},
		{"rtsp://a:hunter2@h/x?password=hunter2", "rtsp://h/x?password=***", "a", "hunter2"},
		{"rtsp://h/x?user=admin&password=***", "rtsp://h/x?user=admin&password=***", "admin", ""},
		{"rtsp://h/x?passes=2&bypass=yes", "rtsp://h/x?passes=2&bypass=yes", "", ""},
	} {
		clean, user, pass, err := rtsp.ParseURL(tc.raw)
		require.NoError(t, err, tc.raw)
		require.Equal(t, []string{tc.clean, tc.user, tc.pass}, []string{clean, user, pass})
		again, _, _, err := rtsp.ParseURL(clean)
		require.NoError(t, err)
		require.Equal(t, clean, again)
		_, err = rtsp.New(rtsp.Config{URL: clean, Username: user, Password: pass})
		require.NoError(t, err)
	}
	_, _, _, err := rtsp.ParseURL("rtsp://a:hunter2@h/x?password=hunter3")
	require.ErrorContains(t, err, "two passwords")
	require.NotContains(t, err.Error(), "hunter")
	_, err = rtsp.New(rtsp.Config{URL: "rtsp://h/x?password=hunter2"})
	require.ErrorContains(t, err, "separately")
}

// The camera is asked with the password where it wants to have it.
func TestPasswordInPathIsSent(t *testing.T) {
	for clean, asked := range map[string]string{
		"/cam?user=admin&password=***&channel=1":     "/cam?user=admin&password=hunt%26er2&channel=1",
		"/user=admin_password=***_channel=1_x=0.sdp": "/user=admin_password=hunt&er2_channel=1_x=0.sdp",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		line := make(chan string, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			first, _ := bufio.NewReader(conn).ReadString('\n')
			line <- first
			_ = conn.Close()
		}()
		src, err := rtsp.New(rtsp.Config{URL: "rtsp://" + l.Addr().String() + clean, Username: "admin", Password: "hunt&er2"})
		require.NoError(t, err)
		err = src.Run(context.Background(), &sink{})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunt")
		require.NoError(t, l.Close())
		require.True(t, strings.HasSuffix(strings.Fields(<-line)[1], asked), "asked %s", asked)
	}
}
