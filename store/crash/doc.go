// Package crash kills a process that writes records of every kind, or takes the
// power from its disk, and looks for what it had been told is kept. It has no code
// but tests; package crashtest has what they are done with.
package crash
