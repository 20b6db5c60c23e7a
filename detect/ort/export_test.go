package ort

// Bound returns o with inputs and outputs bound, as sessions on a GPU have them.
func Bound(o Options) Options {
	o.bind = true
	return o
}

// OnLanes returns o with calls run on threads of the session's own, as on a GPU.
func OnLanes(o Options, n int) Options {
	o.lanes = n
	return o
}

// OnGPU makes a session's further calls as if it ran on a GPU: bound, and in locked
// pages where there is a GPU.
func OnGPU(s *Session) { s.gpu, s.bind = true, true }
