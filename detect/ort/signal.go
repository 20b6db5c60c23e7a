package ort

/*
#include <signal.h>
#include <stdlib.h>

static stack_t *take(void) {
	stack_t *s = malloc(sizeof *s);
	if (s && sigaltstack(NULL, s) != 0) {
		free(s);
		s = NULL;
	}
	return s;
}

static void put_back(stack_t *s) {
	if (s)
		sigaltstack(s, NULL);
	free(s);
}
*/
import "C"

import "runtime"

// keepSignalStack calls f and then gives the thread back the stack on which it
// handles signals. OpenVINO's CPU plugin sets one of its own on the thread that
// loads it and frees it later on any other: the next signal, such as those with
// which Go interrupts its goroutines, would end the process.
func keepSignalStack(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stack := C.take()
	defer C.put_back(stack)
	f()
}
