// One pass from a libav frame to a model's picture tensor. See kernel.c.
#ifndef DETECTD_TENSOR_KERNEL_H
#define DETECTD_TENSOR_KERNEL_H

#include <libavutil/frame.h>

// Where the picture goes in the tensor and how its values are scaled.
typedef struct {
	int width, height;         // of the tensor
	int left, top, cols, rows; // the part of it that the picture fills
	int planar;                // 1: NCHW, 0: NHWC
	int bgr;                   // channel order
	float pad;                 // grey level outside of the picture, 0..255
	float mul[3], add[3];      // value = level * mul + add, in channel order
	int type;                  // of the values, DT_FLOAT32, …
	// How the picture is turned: rows become columns, columns count from the
	// right, rows from the bottom, of the picture as it is stored.
	int swapped, from_right, from_bottom;
} dt_target;

enum { DT_FLOAT32, DT_FLOAT16, DT_UINT8 };

typedef struct dt_plan dt_plan;

enum { DT_OK = 0, DT_NO_MEMORY = -1, DT_FORMAT = -2, DT_MISMATCH = -3 };

// dt_plan_new prepares tables for pictures of this size and libav pixel format.
// *err tells why when the result is NULL.
dt_plan *dt_plan_new(const dt_target *t, int width, int height, int format, int *err);
void dt_plan_free(dt_plan *p);

// dt_fill writes the tensor of one picture: 3*width*height values. space is the
// matrix of its YUV as libav numbers it, full tells the range of its values. It
// may run on many threads with one plan.
int dt_fill(const dt_plan *p, const AVFrame *f, int space, int full, void *dst);

// dt_blank writes a tensor that is all padding.
void dt_blank(const dt_target *t, void *dst);

#endif
