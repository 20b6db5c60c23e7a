package decode

// #cgo pkg-config: libavutil
// #include <libavutil/avutil.h>
import "C"

// Version is the release of the libav libraries that run, such as "5.1.9".
func Version() string { return C.GoString(C.av_version_info()) }
