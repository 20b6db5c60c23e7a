// Package crashtest plays kill -9 and power cuts for the tests of the packages that
// promise something about them: a process that tells what it has been promised
// (Writer), and a disk that knows what a power cut would leave (Disk).
//
// DETECTD_TEST_POINTS is at how many points the tests cut; make soak-stores takes 200.
package crashtest
