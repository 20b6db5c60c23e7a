package doctor

import (
	"context"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"detectd/store/folder"
)

// network looks at the page's address and at the clock.
func (d *doctor) network(ctx context.Context) {
	d.listen(ctx)
	d.clock()
}

func (d *doctor) listen(ctx context.Context) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.cfg.Listen)
	if err == nil {
		_ = l.Close() // nothing came
		d.ok("listen", "%s is free", d.cfg.Listen)
		return
	}
	if _, address, beside := folder.Beside(d.cfg.Data); beside == nil && address != "" {
		d.ok("listen", "detectd answers at %s", address)
		return
	}
	d.add(Problem, "listen", "stop what has the port, or choose another address with --listen (port 0 takes a free one)", "%v", err)
}

// earliest is a time that no right clock shows.
func earliest() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// clock tells whether the kernel believes that its clock is right: capture times are
// no better than it.
func (d *doctor) clock() {
	source := d.file("sys/devices/system/clocksource/clocksource0/current_clocksource")
	if source == "" {
		source = "unknown"
	}
	if now := time.Now(); now.Before(earliest()) {
		d.add(Warning, "clock", "set it: recordings and events would lie in the past", "it shows %s", now.Format(time.DateTime))
		return
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		d.ok("clock", "source %s; whether it is synchronised cannot be seen here", source)
		return
	}
	if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		d.add(Warning, "clock", "run chrony or systemd-timesyncd: cameras and detectd must agree on the time", "source %s, not synchronised", source)
		return
	}
	d.ok("clock", "source %s, synchronised, %v at most off", source, (time.Duration(t.Maxerror) * time.Microsecond).Round(time.Millisecond))
}
