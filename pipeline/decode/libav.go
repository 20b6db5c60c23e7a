package decode

/*
#cgo pkg-config: libavutil
#include <libavutil/frame.h>

static int concealed(const AVFrame *f) {
	return f->decode_error_flags != 0 || (f->flags & AV_FRAME_FLAG_CORRUPT) != 0;
}
*/
import "C"

import "github.com/asticode/go-astiav"

// concealed says that libavcodec guessed a part of the picture.
func concealed(f *astiav.Frame) bool {
	return C.concealed((*C.AVFrame)(f.UnsafePointer())) != 0
}

// Quiet keeps libav from writing to standard error, for the whole process. Every
// error that matters is returned; libav's own lines repeat what cameras send.
// They are not routed to a logger: go-astiav formats them into a buffer of fixed
// size without a check of the length.
func Quiet() { astiav.SetLogLevel(astiav.LogLevelQuiet) }
