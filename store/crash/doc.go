// Package crash kills a process that writes records of every kind, or takes the
// power from its disk, and looks for what it had been told is kept. It has no code
// but tests.
//
// DETECTD_TEST_POINTS is the number of points at which that happens, 20 by default;
// make soak-stores takes 200.
package crash
