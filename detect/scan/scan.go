// Package scan looks through the raw outputs of models: a hundred thousand
// numbers per picture, of which a handful matter. The loops are in C, as the Go
// compiler does not vectorise: together they take a quarter of a percent of an
// inference instead of three.
package scan

/*
#cgo CFLAGS: -O3
#cgo noescape dt_finite
#cgo nocallback dt_finite
#cgo noescape dt_above
#cgo nocallback dt_above
#cgo noescape dt_rows
#cgo nocallback dt_rows
#include "scan.h"
*/
import "C"

// Finite tells whether data holds no NaN and no infinity.
func Finite(data []float32) bool {
	if len(data) == 0 {
		return true
	}
	return C.dt_finite((*C.float)(&data[0]), C.size_t(len(data))) != 0
}

// Above calls fn with the index of every number that is at least least, in
// rising order. NaN is not.
func Above(data []float32, least float32, fn func(i int)) {
	var found [256]C.int32_t
	n, from := C.size_t(len(data)), C.size_t(0)
	for from < n {
		count := C.dt_above((*C.float)(&data[0]), n, C.float(least), &from, &found[0], C.size_t(len(found)))
		for _, i := range found[:count] {
			fn(int(i))
		}
	}
}

// Rows is Above for rows of a width, of which it passes the first columns over:
// a background class is above any threshold in nearly every row.
func Rows(data []float32, width, first int, least float32, fn func(i int)) {
	var found [256]C.int32_t
	n, from := C.size_t(len(data)/width*width), C.size_t(0)
	for from < n {
		count := C.dt_rows((*C.float)(&data[0]), n, C.size_t(width), C.size_t(first), C.float(least), &from, &found[0], C.size_t(len(found)))
		for _, i := range found[:count] {
			fn(int(i))
		}
	}
}
