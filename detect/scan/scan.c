// Scans over many numbers of which few matter, vectorised by the compiler.
#include "scan.h"

#define INLINE static inline __attribute__((always_inline))
#define BLOCK 64

typedef uint32_t __attribute__((may_alias)) bits;

INLINE int all_finite(const float *x, size_t n) {
	const bits exponent = 0x7f800000; // all ones: infinite or not a number
	const bits *b = (const bits *)x;
	size_t i = 0;
	for (; i + BLOCK <= n; i += BLOCK) {
		bits bad = 0;
		for (int k = 0; k < BLOCK; k++)
			bad |= (b[i + k] & exponent) == exponent;
		if (bad)
			return 0;
	}
	for (; i < n; i++)
		if ((b[i] & exponent) == exponent)
			return 0;
	return 1;
}

INLINE size_t above(const float *x, size_t n, float least, size_t *from, int32_t *found, size_t room) {
	size_t count = 0, i = *from;
	while (i < n && count + BLOCK <= room) {
		size_t end = i + BLOCK;
		if (end <= n) {
			bits any = 0;
			for (int k = 0; k < BLOCK; k++)
				any |= x[i + k] >= least;
			if (!any) {
				i = end;
				continue;
			}
		} else {
			end = n;
		}
		for (; i < end; i++)
			if (x[i] >= least)
				found[count++] = (int32_t)i;
	}
	*from = i;
	return count;
}

INLINE size_t rows(const float *x, size_t n, size_t width, size_t first, float least, size_t *from, int32_t *found, size_t room) {
	size_t count = 0, i = *from;
	while (i < n && count < room) {
		const size_t row = i / width * width, end = row + width;
		size_t at = i > row + first ? i : row + first;
		bits any = 0;
		for (size_t k = at; k < end; k++)
			any |= x[k] >= least;
		for (; any && at < end && count < room; at++)
			if (x[at] >= least)
				found[count++] = (int32_t)at;
		i = any && at < end ? at : end;
	}
	*from = i;
	return count;
}

static int finite_base(const float *x, size_t n) { return all_finite(x, n); }

static size_t above_base(const float *x, size_t n, float least, size_t *from, int32_t *found, size_t room) {
	return above(x, n, least, from, found, room);
}

static size_t rows_base(const float *x, size_t n, size_t width, size_t first, float least, size_t *from, int32_t *found,
			size_t room) {
	return rows(x, n, width, first, least, from, found, room);
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2"))) static int finite_avx2(const float *x, size_t n) { return all_finite(x, n); }

__attribute__((target("avx2"))) static size_t above_avx2(const float *x, size_t n, float least, size_t *from,
							  int32_t *found, size_t room) {
	return above(x, n, least, from, found, room);
}

__attribute__((target("avx2"))) static size_t rows_avx2(const float *x, size_t n, size_t width, size_t first, float least,
							 size_t *from, int32_t *found, size_t room) {
	return rows(x, n, width, first, least, from, found, room);
}
#define HAVE_AVX2 __builtin_cpu_supports("avx2")
#else
#define finite_avx2 finite_base
#define above_avx2 above_base
#define rows_avx2 rows_base
#define HAVE_AVX2 0
#endif

int dt_finite(const float *x, size_t n) { return HAVE_AVX2 ? finite_avx2(x, n) : finite_base(x, n); }

size_t dt_above(const float *x, size_t n, float least, size_t *from, int32_t *found, size_t room) {
	return HAVE_AVX2 ? above_avx2(x, n, least, from, found, room) : above_base(x, n, least, from, found, room);
}

size_t dt_rows(const float *x, size_t n, size_t width, size_t first, float least, size_t *from, int32_t *found,
	       size_t room) {
	return HAVE_AVX2 ? rows_avx2(x, n, width, first, least, from, found, room)
			 : rows_base(x, n, width, first, least, from, found, room);
}
