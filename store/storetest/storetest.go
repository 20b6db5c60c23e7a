// Package storetest holds the conformance suites of the store: what every
// driver must do, whatever it is built on. A driver's test calls RunRecords,
// RunSeries or RunBlobs with a function that opens it in a folder.
package storetest
