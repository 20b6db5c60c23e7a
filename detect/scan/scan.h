#ifndef DETECTD_SCAN_H
#define DETECTD_SCAN_H

#include <stddef.h>
#include <stdint.h>

// dt_finite tells whether no number is infinite or NaN.
int dt_finite(const float *x, size_t n);

// dt_above writes the indices of the numbers that are at least `least`, from
// *from on, and returns how many. It stops, with *from < n, when `found` might
// not hold the next ones; room must be at least 64.
size_t dt_above(const float *x, size_t n, float least, size_t *from, int32_t *found, size_t room);

// dt_rows is dt_above for the columns from `first` on of rows of a width, which n
// is a multiple of. It stops, with *from < n, when `found` is full.
size_t dt_rows(const float *x, size_t n, size_t width, size_t first, float least, size_t *from, int32_t *found,
	       size_t room);

#endif
