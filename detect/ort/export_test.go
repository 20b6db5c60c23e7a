package ort

// Bound returns o with inputs and outputs bound, as sessions on a GPU have them.
func Bound(o Options) Options {
	o.bind = true
	return o
}

// OnGPU makes a session's further calls as if it ran on a GPU: bound, and in locked
// pages where there is a GPU.
func OnGPU(s *Session) { s.gpu, s.bind = true, true }
