package e2e

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store/folder"
)

// oneLine expects an exit code and one line that says text.
func oneLine(t *testing.T, e ended, code int, text string) {
	t.Helper()
	require.Equal(t, code, e.Code, e.Stderr)
	require.Contains(t, e.Stderr, text)
	require.Equal(t, 1, strings.Count(e.Stderr, "\n"), e.Stderr)
	require.Empty(t, e.Stdout, "it was never ready")
}

// TestBadSettings: all mistakes at once, each with its place, and nothing is made.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	file := write(t, "bad.yaml", "listen: 127.0.0.1:99999\ndetct:\n  fps: 5\ndetect:\n  fps: fast\n  workers: -1\n")
	data := filepath.Join(t.TempDir(), "data")
	for _, args := range [][]string{{"check-config", file}, {"run", "--config", file, "--data", data}} {
		e := command(t, args...)
		require.Equal(t, 2, e.Code, e.Stderr)
		require.Equal(t, 4, strings.Count(e.Stderr, "\n"), e.Stderr)
		for _, want := range []string{":1:1: listen", "99999", ":2:1: detct", ":5:8: detect.fps", ":6:12: detect.workers"} {
			require.Contains(t, e.Stderr, want)
		}
		for l := range strings.Lines(e.Stderr) {
			require.True(t, strings.HasPrefix(l, file+":"), l)
		}
	}
	require.NoDirExists(t, data)
	for text, says := range map[string]string{
		"listen: [1, 2]\n":              ":1:9",
		"listen: nonsense\n":            "HOST:PORT",
		"detect: {model: a b c\n":       ":",
		"upload: {video_bytes: many}\n": "upload.video_bytes",
	} {
		e := command(t, "check-config", write(t, "bad.yaml", text))
		require.Equal(t, 2, e.Code, e.Stderr)
		require.Contains(t, e.Stderr, says)
	}
	oneLine(t, command(t, "check-config", "none.yaml"), 2, "none.yaml")
	good := write(t, "good.yaml", settings)
	require.Equal(t, good+" is valid\n", succeeds(t, "check-config", good))
	root, err := repository()
	require.NoError(t, err)
	require.Contains(t, succeeds(t, "check-config", filepath.Join(root, "config.yaml")), "is valid")
}

// TestBadDataFolder: a data folder that cannot be used is told in one line and
// left as it is.
func TestBadDataFolder(t *testing.T) {
	t.Parallel()
	run := func(dir string) *exec.Cmd {
		return exec.Command(program, "run", "--no-demo", "--listen", "127.0.0.1:0", "--data", dir)
	}
	t.Run("a file", func(t *testing.T) {
		oneLine(t, finish(t, run(write(t, "data", "x"))), 1, "not a directory")
	})
	t.Run("somebody else's", func(t *testing.T) {
		dir := filepath.Dir(write(t, "holiday.jpg", "x"))
		oneLine(t, finish(t, run(dir)), 1, `it holds "holiday.jpg" and is not a detectd data folder`)
		require.Equal(t, []string{"holiday.jpg"}, names(t, dir))
	})
	t.Run("without the right to write", func(t *testing.T) {
		dir := t.TempDir()
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			require.NoError(t, os.Chmod(d, 0o755)) // to be reached by everybody
		}
		require.NoError(t, os.Chmod(dir, 0o555))
		c := run(dir)
		if os.Getuid() == 0 { // to whom rights mean nothing
			const nobody = 65534
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			c.Dir = "/"
		}
		oneLine(t, finish(t, c), 1, "cannot be written by this user")
		require.Empty(t, names(t, dir))
	})
	t.Run("on a read-only disk", func(t *testing.T) {
		if exec.Command("unshare", "--mount", "true").Run() != nil {
			t.Skip("this user may not mount a folder read-only")
		}
		dir := t.TempDir()
		c := exec.Command("unshare", "--mount", "sh", "-c",
			`mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"`, dir)
		c.Args = append(c.Args, run(dir).Args...)
		oneLine(t, finish(t, c), 1, "read-only")
		require.Empty(t, names(t, dir))
	})
	t.Run("whose disk is not mounted", func(t *testing.T) {
		if exec.Command("unshare", "--mount", "true").Run() != nil {
			t.Skip("SKIPPED: this user may not replace /etc/fstab for a process")
		}
		point := t.TempDir() // the mount point, empty
		table := write(t, "fstab", "UUID=1 / ext4 defaults 0 1\nUUID=2 "+point+" ext4 nofail 0 2\n")
		dir := filepath.Join(point, "data")
		c := exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/fstab && exec "$@"`, table)
		c.Args = append(c.Args, run(dir).Args...)
		oneLine(t, finish(t, c), 1, "its disk is not mounted: /etc/fstab has a file system for "+point)
		require.Empty(t, names(t, point), "nothing was written into the mount point")

		if folder.RequireMount(dir) == nil {
			return // temporary files have a disk of their own here
		}
		c = run(dir)
		c.Args = append(c.Args, "--config", write(t, "mount.yaml", "require_mount: true\n"))
		oneLine(t, finish(t, c), 1, "its disk is not mounted, and require_mount is set")
		require.Empty(t, names(t, point))
	})
	t.Run("of another detectd", func(t *testing.T) {
		d := withCamera(t)
		e := finish(t, run(d.dir))
		oneLine(t, e, 1, "in use by another detectd")
		d.goesOn(t, "good")
	})
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestBadAddress: an address that is taken, or that others could reach, is
// refused with the reason.
func TestBadAddress(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for address, c := range map[string]struct {
		code int
		says string
	}{
		taken.Addr().String(): {1, "another program has this port"},
		"0.0.0.0:0":           {2, "access control does not exist yet"},
		"[::]:0":              {2, "access control does not exist yet"},
		":8420":               {2, "access control does not exist yet"},
		"192.0.2.1:8420":      {2, "access control does not exist yet"},
		"nonsense":            {2, "nonsense"},
		"127.0.0.1:99999":     {2, "99999"},
	} {
		t.Run(address, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			e := command(t, "run", "--no-demo", "--data", data, "--listen", address)
			oneLine(t, e, c.code, c.says)
			if c.code == 2 {
				require.NoDirExists(t, data, "nothing was touched")
			}
		})
	}
}

// TestForeignRequests: other names and pages of other origins are kept out.
func TestForeignRequests(t *testing.T) {
	t.Parallel()
	d := start(t)
	for _, path := range []string{"/", "/api/v1/cameras", "/metrics", "/healthz"} {
		require.Equal(t, http.StatusOK, d.send(t, http.MethodGet, path, nil).Status, path)
		a := d.send(t, http.MethodGet, path, nil, "Host", "evil.example:8420")
		refused(t, a, http.StatusMisdirectedRequest, "not known by that name")
	}
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		a := d.send(t, http.MethodPost, "/api/v1/clients", body{"name": "Evil"}, header...)
		refused(t, a, http.StatusForbidden, "another origin")
		require.Equal(t, http.StatusOK, d.send(t, http.MethodGet, "/api/v1/clients", nil, header...).Status)
	}
	require.Len(t, list[struct{}](t, d.client, "/clients"), 1)
	page := d.send(t, http.MethodGet, "/", nil).Header
	for name, value := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
	} {
		require.Equal(t, value, page.Get(name))
	}
	require.Contains(t, page.Get("Content-Security-Policy"), "default-src 'self'")
	require.Contains(t, page.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	require.Equal(t, "no-store", d.send(t, http.MethodGet, "/api/v1/clients", nil).Header.Get("Cache-Control"))
}
