// Package e2e tests detectd as its users meet it: the program runs as a child
// process, cameras are played by simulators, and everything is seen through the
// command line, the HTTP API and the page. It has no code but tests.
package e2e
