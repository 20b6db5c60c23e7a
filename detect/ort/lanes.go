package ort

import (
	"runtime"
	"sync"
)

// maxLanes is how many calls run on a GPU at the same time: more gain nothing there.
const maxLanes = 4

// lanes are threads on which a session's calls run. ONNX Runtime's CUDA provider keeps
// handles and buffers for each thread that ever made a call, and the threads of
// goroutines are many.
type lanes struct {
	work chan func()
	all  sync.WaitGroup
}

func newLanes(n int) *lanes {
	l := &lanes{work: make(chan func())}
	for range n {
		l.all.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with its work
			for f := range l.work {
				f()
			}
		})
	}
	return l
}

// run waits for a free lane and calls f there.
func (l *lanes) run(f func()) {
	done := make(chan struct{})
	l.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// close ends the threads. No call may be out.
func (l *lanes) close() {
	close(l.work)
	l.all.Wait()
}
