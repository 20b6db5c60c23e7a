// One pass from a libav frame to a model's picture tensor: every source plane
// is resized on its own, straight to the tensor's size, and the colour matrix,
// the scaling and the layout are applied to the few pixels that are left. No
// full-size RGB picture is ever made.
//
// The resize is separable. Each output row is a weighted sum of source rows (the
// wide, vectorised part), each output pixel a weighted sum of that row. The
// weights are those of bilinear interpolation with half-pixel centres, or of
// averaging the covered area where the picture shrinks by more than AREA_FROM:
// on COCO pictures bilinear is better by 0.4 points of AP when they shrink to a
// half, as networks are trained that way, and averaging by 0.3 to 0.8 points
// when they shrink to a fifth or less; between 3 and 4 the two are equal.
#include "kernel.h"

#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define AREA_FROM 3.0
#define LANES 4 // horizontal taps are padded to a multiple of this
#define INLINE static inline __attribute__((always_inline))

typedef float v2 __attribute__((vector_size(8), aligned(4)));
typedef float v4 __attribute__((vector_size(16), aligned(4)));

// axis says which source samples make up each output sample along one side.
typedef struct {
	int taps;      // per output sample
	int *start;    // first source sample
	float *weight; // taps per output sample, adding up to 1
} axis;

// comp is one colour component.
typedef struct {
	int plane, offset, step; // in samples
	int chroma;
} comp;

struct dt_plan {
	dt_target t;
	int cols, rows; // of the resized picture before it is turned
	int width, height, format;
	int rgb, gray;
	int wide;         // samples have 16 bits
	int swapped;      // and come with the high byte first
	int cw, ch;       // size of the chroma planes
	int depth, shift;
	comp c[3];
	int used[4]; // samples in a row of each plane
	axis lh, lv, chh, chv; // luma and chroma, horizontal and vertical
};

static int make_axis(axis *a, int out, double scale, int size, int pad) {
	int taps = scale > AREA_FROM ? (int)ceil(scale) + 1 : 2;
	if (taps > size)
		taps = size;
	// Padding taps have weight 0 and read up to LANES samples past the row.
	int room = pad && taps > 2 ? (taps + LANES - 1) / LANES * LANES : taps;
	a->taps = room;
	a->start = calloc(out, sizeof *a->start);
	a->weight = calloc((size_t)out * room, sizeof *a->weight);
	if (!a->start || !a->weight)
		return DT_NO_MEMORY;
	for (int i = 0; i < out; i++) {
		double from = i * scale, to = (i + 1) * scale; // covered area
		int lo, hi;
		if (scale > AREA_FROM) {
			lo = (int)floor(from);
			hi = (int)ceil(to) - 1;
		} else {
			from = (i + 0.5) * scale - 0.5;
			lo = (int)floor(from);
			hi = lo + 1;
		}
		int start = lo < 0 ? 0 : lo;
		if (start > size - taps)
			start = size - taps;
		a->start[i] = start;
		double sum = 0, w[2];
		float *row = a->weight + (size_t)i * room;
		w[1] = from - lo;
		w[0] = 1 - w[1];
		for (int pass = 0; pass < 2; pass++) {
			for (int j = lo; j <= hi; j++) {
				double v;
				if (scale > AREA_FROM)
					v = fmin(to, j + 1) - fmax(from, j);
				else
					v = w[j - lo];
				if (v <= 0)
					continue;
				int at = j < 0 ? 0 : j >= size ? size - 1 : j; // edges are repeated
				at -= start;
				if (at < 0 || at >= taps)
					continue;
				if (pass)
					row[at] += (float)(v / sum);
				else
					sum += v;
			}
		}
	}
	return DT_OK;
}

void dt_plan_free(dt_plan *p) {
	if (!p)
		return;
	axis *all[] = {&p->lh, &p->lv, &p->chh, &p->chv};
	for (int i = 0; i < 4; i++) {
		free(all[i]->start);
		free(all[i]->weight);
	}
	free(p);
}

static int describe(dt_plan *p) {
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(p->format);
	const uint64_t no = AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL |
			    AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT;
	if (!d || d->flags & no || d->nb_components < 1)
		return DT_FORMAT;
	p->rgb = !!(d->flags & AV_PIX_FMT_FLAG_RGB);
	p->gray = d->nb_components < 3;
	p->depth = d->comp[0].depth;
	p->shift = d->comp[0].shift;
	p->wide = p->depth > 8;
	p->swapped = p->wide && d->flags & AV_PIX_FMT_FLAG_BE;
	if (p->depth < 8 || p->depth > 16)
		return DT_FORMAT;
	p->cw = AV_CEIL_RSHIFT(p->width, d->log2_chroma_w);
	p->ch = AV_CEIL_RSHIFT(p->height, d->log2_chroma_h);
	for (int i = 0; i < (p->gray ? 1 : 3); i++) {
		const AVComponentDescriptor *s = &d->comp[i];
		int bytes = p->wide ? 2 : 1, chroma = i > 0 && !p->rgb;
		if (s->depth != p->depth || s->shift != p->shift || s->step % bytes || s->offset % bytes)
			return DT_FORMAT;
		// Where luma and chroma share a plane, their steps must lead to the same pixels.
		if (chroma && s->plane == d->comp[0].plane && s->step != d->comp[0].step << d->log2_chroma_w)
			return DT_FORMAT;
		p->c[i] = (comp){s->plane, s->offset / bytes, s->step / bytes, chroma};
		// Packed 4:2:2 of odd width ends with a chroma sample that has one luma sample only.
		int *used = &p->used[s->plane], end = (chroma ? p->cw : p->width) * p->c[i].step;
		*used = end > *used ? end : *used;
	}
	p->cols = p->t.swapped ? p->t.rows : p->t.cols;
	p->rows = p->t.swapped ? p->t.cols : p->t.rows;
	double sx = (double)p->width / p->cols, sy = (double)p->height / p->rows;
	double cx = sx / (1 << d->log2_chroma_w), cy = sy / (1 << d->log2_chroma_h);
	int err = make_axis(&p->lh, p->cols, sx, p->width, 1);
	if (!err)
		err = make_axis(&p->lv, p->rows, sy, p->height, 0);
	if (!err)
		err = make_axis(&p->chh, p->cols, cx, p->cw, 1);
	if (!err)
		err = make_axis(&p->chv, p->rows, cy, p->ch, 0);
	return err;
}

dt_plan *dt_plan_new(const dt_target *t, int width, int height, int format, int *err) {
	dt_plan *p = calloc(1, sizeof *p);
	if (!p) {
		*err = DT_NO_MEMORY;
		return NULL;
	}
	p->t = *t;
	p->width = width;
	p->height = height;
	p->format = format;
	*err = describe(p);
	if (*err) {
		dt_plan_free(p);
		return NULL;
	}
	return p;
}

// DEFINE_ROWS makes the weighted sum of up to four source rows.
#define AS_IT_IS(v) (v)
#define SWAPPED(v) (uint16_t)((v) << 8 | (v) >> 8)

#define DEFINE_ROWS(NAME, TYPE, LOAD)                                                              \
	INLINE void NAME(float *restrict acc, const uint8_t *base, ptrdiff_t stride, int n,        \
			 const float *w, int taps, float unit) {                                   \
		for (int k = 0; k < taps; k += 4) {                                                \
			const TYPE *r[4];                                                          \
			float g[4];                                                                \
			int used = 0;                                                              \
			for (int i = 0; i < 4; i++) {                                              \
				int on = k + i < taps;                                             \
				r[i] = (const TYPE *)(base + (on ? k + i : k) * stride);           \
				g[i] = on ? w[k + i] * unit : 0;                                   \
				if (g[i] != 0)                                                     \
					used = i + 1;                                              \
			}                                                                          \
			const TYPE *restrict a = r[0], *restrict b = r[1], *restrict c = r[2],     \
					     *restrict d = r[3];                                   \
			if (k > 0 && used == 0)                                                    \
				continue;                                                          \
			if (k == 0 && used <= 2)                                                   \
				for (int x = 0; x < n; x++)                                        \
					acc[x] = LOAD(a[x]) * g[0] + LOAD(b[x]) * g[1];            \
			else if (k == 0)                                                           \
				for (int x = 0; x < n; x++)                                        \
					acc[x] = LOAD(a[x]) * g[0] + LOAD(b[x]) * g[1] + LOAD(c[x]) * g[2] + LOAD(d[x]) * g[3]; \
			else if (used <= 2)                                                        \
				for (int x = 0; x < n; x++)                                        \
					acc[x] += LOAD(a[x]) * g[0] + LOAD(b[x]) * g[1];           \
			else                                                                       \
				for (int x = 0; x < n; x++)                                        \
					acc[x] += LOAD(a[x]) * g[0] + LOAD(b[x]) * g[1] + LOAD(c[x]) * g[2] + LOAD(d[x]) * g[3]; \
		}                                                                                  \
	}

DEFINE_ROWS(rows8, uint8_t, AS_IT_IS)
DEFINE_ROWS(rows16, uint16_t, AS_IT_IS)
DEFINE_ROWS(rows16be, uint16_t, SWAPPED)

// pick makes a vector out of the numbered lanes of two.
#define pick(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

// pairs2 returns the sums of two products for four output samples.
INLINE v4 pairs2(const float *row, const int *s, const float *w) {
	v4 a = pick(*(const v2 *)(row + s[0]), *(const v2 *)(row + s[1]), 0, 1, 2, 3) * *(const v4 *)w;
	v4 b = pick(*(const v2 *)(row + s[2]), *(const v2 *)(row + s[3]), 0, 1, 2, 3) * *(const v4 *)(w + 4);
	return pick(a, b, 0, 2, 4, 6) + pick(a, b, 1, 3, 5, 7);
}

// lanes returns the products of one output sample, added up to four numbers.
INLINE v4 lanes(const float *row, const float *w, int taps) {
	v4 s = *(const v4 *)row * *(const v4 *)w;
	for (int k = LANES; k < taps; k += LANES)
		s += *(const v4 *)(row + k) * *(const v4 *)(w + k);
	return s;
}

// many makes output samples of a fixed number of taps, a multiple of LANES. Four
// at a time share the adding up of their lanes.
INLINE void many(float *restrict out, const float *restrict row, const axis *a, int n, const int taps) {
	const float *restrict w = a->weight;
	const int *restrict start = a->start;
	int x = 0;
	for (; x + 4 <= n; x += 4, w += 4 * taps) {
		v4 p = lanes(row + start[x], w, taps), q = lanes(row + start[x + 1], w + taps, taps);
		v4 r = lanes(row + start[x + 2], w + 2 * taps, taps), s = lanes(row + start[x + 3], w + 3 * taps, taps);
		v4 pq = pick(p, q, 0, 4, 1, 5) + pick(p, q, 2, 6, 3, 7);
		v4 rs = pick(r, s, 0, 4, 1, 5) + pick(r, s, 2, 6, 3, 7);
		*(v4 *)(out + x) = pick(pq, rs, 0, 1, 4, 5) + pick(pq, rs, 2, 3, 6, 7);
	}
	for (; x < n; x++, w += taps) {
		v4 s = lanes(row + start[x], w, taps);
		out[x] = (s[0] + s[2]) + (s[1] + s[3]);
	}
}

// columns makes each output sample from a filtered row.
INLINE void columns(float *restrict out, const float *restrict row, const axis *a, int n) {
	const float *restrict w = a->weight;
	const int *restrict start = a->start;
	int x = 0;
	switch (a->taps) {
	case 1:
		for (; x < n; x++)
			out[x] = row[start[x]] * w[x];
		break;
	case 2:
		for (; x + 4 <= n; x += 4)
			*(v4 *)(out + x) = pairs2(row, start + x, w + 2 * x);
		for (; x < n; x++)
			out[x] = row[start[x]] * w[2 * x] + row[start[x] + 1] * w[2 * x + 1];
		break;
	case 8: // most pictures that are averaged
		many(out, row, a, n, 8);
		break;
	default:
		many(out, row, a, n, a->taps);
	}
}

// Colour conversion: level = m[c][0]*Y + m[c][1]*U + m[c][2]*V + m[c][3].
typedef struct {
	float m[3][4];
} matrix;

// middle is the level of chroma without colour.
static void yuv_matrix(matrix *k, int full, int space, double middle) {
	double kr = 0.299, kb = 0.114; // BT.601
	if (space == AVCOL_SPC_BT709)
		kr = 0.2126, kb = 0.0722;
	else if (space == AVCOL_SPC_BT2020_NCL)
		kr = 0.2627, kb = 0.0593;
	else if (space == AVCOL_SPC_SMPTE240M)
		kr = 0.212, kb = 0.087;
	else if (space == AVCOL_SPC_FCC)
		kr = 0.30, kb = 0.11;
	double kg = 1 - kr - kb;
	double y = full ? 1 : 255.0 / 219, c = full ? 1 : 255.0 / 224, black = full ? 0 : 16;
	double u[3] = {0, -2 * (1 - kb) * kb / kg, 2 * (1 - kb)};
	double v[3] = {2 * (1 - kr), -2 * (1 - kr) * kr / kg, 0};
	for (int i = 0; i < 3; i++) {
		k->m[i][0] = y;
		k->m[i][1] = u[i] * c;
		k->m[i][2] = v[i] * c;
		k->m[i][3] = -black * y - middle * c * (u[i] + v[i]);
	}
}

INLINE float clamp(float v) {
	v = v < 0 ? 0 : v;
	return v > 255 ? 255 : v;
}

// half rounds to the nearest 16-bit float, ties to even. v is finite.
INLINE uint16_t half(float v) {
	union {
		float f;
		uint32_t u;
	} x = {v}, small;
	uint32_t sign = x.u >> 16 & 0x8000, size = x.u & 0x7fffffff;
	uint32_t bits = (size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13;
	x.u = size;
	small.f = x.f + 0.5f; // whose last place is that of the smallest 16-bit floats
	bits = size < 113u << 23 ? small.u - 0x3f000000 : bits;
	return (uint16_t)(sign | (size >= 0x477ff000 ? 0x7c00 : bits));
}

INLINE uint8_t byte(float v) { return (uint8_t)(clamp(v) + 0.5f); }

// write writes a row of values in the tensor's type, the at-th value and on.
INLINE void write(void *restrict dst, size_t at, int step, const float *restrict from, int n, int type) {
	if (type == DT_FLOAT16) {
		uint16_t *to = (uint16_t *)dst + at;
		if (step == 1)
			for (int x = 0; x < n; x++)
				to[x] = half(from[x]);
		else
			for (int x = 0; x < n; x++)
				to[3 * x] = half(from[x]);
	} else {
		uint8_t *to = (uint8_t *)dst + at;
		if (step == 1)
			for (int x = 0; x < n; x++)
				to[x] = byte(from[x]);
		else
			for (int x = 0; x < n; x++)
				to[3 * x] = byte(from[x]);
	}
}

// scatter writes a row of values to places that are step values apart.
static void scatter(void *restrict dst, ptrdiff_t at, ptrdiff_t step, const float *restrict from, int n, int type) {
	if (type == DT_FLOAT32)
		for (int x = 0; x < n; x++)
			((float *)dst)[at + x * step] = from[x];
	else if (type == DT_FLOAT16)
		for (int x = 0; x < n; x++)
			((uint16_t *)dst)[at + x * step] = half(from[x]);
	else
		for (int x = 0; x < n; x++)
			((uint8_t *)dst)[at + x * step] = byte(from[x]);
}

// turned says where the first pixel of row y of the resized picture goes in the
// tensor, in pixels, and how far apart its pixels are there.
INLINE ptrdiff_t turned(const dt_plan *p, int y, ptrdiff_t *step) {
	const dt_target *t = &p->t;
	const ptrdiff_t along = t->swapped ? t->width : 1, across = t->swapped ? 1 : t->width;
	ptrdiff_t at = (ptrdiff_t)t->top * t->width + t->left;
	at += across * (t->from_bottom ? p->rows - 1 - y : y);
	at += t->from_right ? along * (p->cols - 1) : 0;
	*step = t->from_right ? -along : along;
	return at;
}

INLINE void store(const dt_target *t, float *restrict dst, const float *restrict a, const float *restrict b,
		  const float *restrict c, const float m[4], int channel, int n, int step) {
	const float mul = t->mul[channel], add = t->add[channel];
	const float m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3];
	if (step == 1)
		for (int x = 0; x < n; x++)
			dst[x] = clamp(a[x] * m0 + b[x] * m1 + c[x] * m2 + m3) * mul + add;
	else
		for (int x = 0; x < n; x++)
			dst[3 * x] = clamp(a[x] * m0 + b[x] * m1 + c[x] * m2 + m3) * mul + add;
}

INLINE void put(void *restrict dst, size_t at, int from, int to, int step, float v, int type) {
	if (type == DT_FLOAT32) {
		float *row = (float *)dst + at;
		if (step == 1)
			for (int x = from; x < to; x++)
				row[x] = v;
		else
			for (int x = from; x < to; x++)
				row[3 * x] = v;
	} else if (type == DT_FLOAT16) {
		uint16_t *row = (uint16_t *)dst + at, h = half(v);
		for (int x = from; x < to; x++)
			row[step * x] = h;
	} else {
		uint8_t *row = (uint8_t *)dst + at, b = byte(v);
		for (int x = from; x < to; x++)
			row[step * x] = b;
	}
}

// fill_border writes the padding around the picture.
INLINE void fill_border(const dt_target *t, void *dst) {
	if (t->cols == t->width && t->rows == t->height)
		return;
	const int step = t->planar ? 1 : 3;
	for (int c = 0; c < 3; c++) {
		float v = t->pad * t->mul[c] + t->add[c];
		size_t row = t->planar ? (size_t)c * t->width * t->height : (size_t)c;
		for (int y = 0; y < t->height; y++, row += (size_t)t->width * step) {
			if (y < t->top || y >= t->top + t->rows) {
				put(dst, row, 0, t->width, step, v, t->type);
				continue;
			}
			put(dst, row, 0, t->left, step, v, t->type);
			put(dst, row, t->left + t->cols, t->width, step, v, t->type);
		}
	}
}

// fetch asks for the source rows that the next output row has and this one has not,
// so that they are there when their turn comes: pictures are too large for the
// caches next to the processor, and are read once.
INLINE void fetch(const uint8_t *data, ptrdiff_t stride, size_t bytes, const axis *v, int y) {
	const int from = v->start[y] + v->taps, to = v->start[y + 1] + v->taps;
	for (int r = from; r < to; r++)
		for (size_t x = 0; x < bytes; x += 64)
			__builtin_prefetch(data + r * stride + x, 0, 0);
}

INLINE void fill(const dt_plan *p, const AVFrame *f, void *dst, const matrix *k, float unit, float *scratch) {
	const dt_target *t = &p->t;
	const int n = p->cols, comps = p->gray ? 1 : 3, turn = t->swapped || t->from_right || t->from_bottom;
	const size_t room = (size_t)p->width * 4 + 4 * LANES;
	float *mixed = scratch;          // filtered row, components interleaved as in the plane
	float *single = scratch + room;  // one component of it
	float *out[3] = {single + room, single + room + n, single + room + 2 * (size_t)n};
	float *line = out[2] + n; // values before they get their type
	for (int y = 0; y < p->rows; y++) {
		int last = -1;
		for (int i = 0; i < comps; i++) {
			const comp *c = &p->c[i];
			const axis *v = c->chroma ? &p->chv : &p->lv;
			int width = c->chroma ? p->cw : p->width;
			if (c->plane != last) {
				const uint8_t *base = f->data[c->plane] + v->start[y] * (ptrdiff_t)f->linesize[c->plane];
				const float *w = v->weight + (size_t)y * v->taps;
				if (y + 1 < p->rows)
					fetch(f->data[c->plane], f->linesize[c->plane], (size_t)p->used[c->plane] << p->wide, v, y);
				if (p->swapped)
					rows16be(mixed, base, f->linesize[c->plane], p->used[c->plane], w, v->taps, unit);
				else if (p->wide)
					rows16(mixed, base, f->linesize[c->plane], p->used[c->plane], w, v->taps, unit);
				else
					rows8(mixed, base, f->linesize[c->plane], p->used[c->plane], w, v->taps, unit);
				last = c->plane;
			}
			const float *row = mixed;
			if (c->step > 1) {
				const float *from = mixed + c->offset;
				if (c->step == 2)
					for (int x = 0; x < width; x++)
						single[x] = from[2 * x];
				else if (c->step == 3)
					for (int x = 0; x < width; x++)
						single[x] = from[3 * x];
				else
					for (int x = 0; x < width; x++)
						single[x] = from[c->step * x];
				row = single;
			}
			columns(out[i], row, c->chroma ? &p->chh : &p->lh, n);
		}
		for (int ch = 0; ch < 3; ch++) {
			int colour = t->bgr ? 2 - ch : ch;
			size_t at = (size_t)(y + t->top) * t->width + t->left;
			const int step = t->planar ? 1 : 3;
			at = t->planar ? (size_t)ch * t->width * t->height + at : 3 * at + ch;
			const float *b = p->gray ? out[0] : out[1], *c = p->gray ? out[0] : out[2];
			if (turn) {
				ptrdiff_t apart, to = turned(p, y, &apart);
				store(t, line, out[0], b, c, k->m[colour], ch, n, 1);
				to = t->planar ? (ptrdiff_t)ch * t->width * t->height + to : 3 * to + ch;
				scatter(dst, to, apart * step, line, n, t->type);
				continue;
			}
			if (t->type == DT_FLOAT32) {
				store(t, (float *)dst + at, out[0], b, c, k->m[colour], ch, n, step);
				continue;
			}
			store(t, line, out[0], b, c, k->m[colour], ch, n, 1);
			write(dst, at, step, line, n, t->type);
		}
	}
	fill_border(t, dst);
}

static void fill_base(const dt_plan *p, const AVFrame *f, void *dst, const matrix *k, float unit, float *scratch) {
	fill(p, f, dst, k, unit, scratch);
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2,fma"))) static void fill_avx2(const dt_plan *p, const AVFrame *f, void *dst,
							   const matrix *k, float unit, float *scratch) {
	fill(p, f, dst, k, unit, scratch);
}
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512"))) static void
fill_avx512(const dt_plan *p, const AVFrame *f, void *dst, const matrix *k, float unit, float *scratch) {
	fill(p, f, dst, k, unit, scratch);
}
#define HAVE_AVX2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#define HAVE_AVX512 (HAVE_AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && \
		     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#else
#define fill_avx2 fill_base
#define fill_avx512 fill_base
#define HAVE_AVX2 0
#define HAVE_AVX512 0
#endif

void dt_blank(const dt_target *t, void *dst) {
	dt_target all = *t;
	all.cols = all.rows = 0;
	fill_border(&all, dst);
}

int dt_fill(const dt_plan *p, const AVFrame *f, int space, int full, void *dst) {
	if (f->width != p->width || f->height != p->height || f->format != p->format || !f->data[0])
		return DT_MISMATCH;
	size_t room = 2 * ((size_t)p->width * 4 + 4 * LANES) + 4 * (size_t)p->cols;
	// Zeroed, as padding taps multiply what lies behind a row by 0: it must be finite.
	float *scratch = calloc(room, sizeof *scratch);
	if (!scratch)
		return DT_NO_MEMORY;
	float unit = 1; // brings samples to 0..255
	if (p->wide)
		unit = (full || p->rgb ? 255.0f / ((1 << p->depth) - 1) : 1.0f / (1 << (p->depth - 8))) / (1 << p->shift);
	matrix k = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
	if (p->gray) {
		float y = full ? 1 : 255.0f / 219;
		for (int i = 0; i < 3; i++) {
			k.m[i][0] = y;
			k.m[i][1] = k.m[i][2] = 0;
			k.m[i][3] = full ? 0 : -16 * y;
		}
	} else if (!p->rgb) {
		yuv_matrix(&k, full, space, (double)unit * (1 << (p->depth - 1 + p->shift)));
	}
	if (HAVE_AVX512)
		fill_avx512(p, f, dst, &k, unit, scratch);
	else if (HAVE_AVX2)
		fill_avx2(p, f, dst, &k, unit, scratch);
	else
		fill_base(p, f, dst, &k, unit, scratch);
	free(scratch);
	return DT_OK;
}
