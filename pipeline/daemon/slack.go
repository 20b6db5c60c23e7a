package daemon

/*
#include <string.h>
#include <sys/prctl.h>

// A Go process has a thread that watches the others. While all processors are in
// long C calls, as they are when they decode and infer, it looks every 20 µs and
// takes each processor away from its call: with four cameras it woke 2,500 times a
// second, cost 5 % of the time by itself, and moved the decoders from thread to
// thread. Linux lets a thread sleep longer by its slack, which threads inherit:
// 4 ms, about the time to decode a picture, instead of 50 µs end that. It has to
// be set before Go starts its first thread. Timers may be late by as much, which
// nothing in the daemon minds; other commands keep theirs.
__attribute__((constructor)) static void slack(int argc, char **argv) {
	if (argc > 1 && strcmp(argv[1], "run") == 0) prctl(PR_SET_TIMERSLACK, 4000000UL, 0UL, 0UL, 0UL);
}
*/
import "C"
