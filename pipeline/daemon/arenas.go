package daemon

/*
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The C library gives each thread an arena of its own to allocate from, up to eight
// a processor, and Go moves the calls of libav and of ONNX Runtime from thread to
// thread. So what one decoder holds lies among what others gave back, in all of
// them, and memory that is free and cannot be given back grows with each camera that
// comes and goes. With about as many arenas as threads that work at once it grows
// half as much (docs/durability.md). It has to be set before there are threads. Who
// has set the C library's own variables knows better.
__attribute__((constructor)) static void arenas(int argc, char **argv) {
#ifdef M_ARENA_MAX // glibc
	if (argc < 2 || strcmp(argv[1], "run") != 0 || getenv("MALLOC_ARENA_MAX") || getenv("GLIBC_TUNABLES"))
		return;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	mallopt(M_ARENA_MAX, processors < 2 ? 2 : processors > 4 ? 4 : (int)processors);
#endif
}

static void trim(void) {
#ifdef M_ARENA_MAX
	malloc_trim(0);
#endif
}
*/
import "C"

import (
	"context"
	"time"
)

// trimEvery is how often the C library is asked for what it does not use. It takes a
// millisecond or two.
const trimEvery = time.Minute

// giveBack gives the memory that cameras left behind in the arenas back to the system:
// of itself the C library returns only what lies at their ends.
func (d *Daemon) giveBack(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			trim()
		}
	}
}

func trim() { C.trim() }
