// Package simulate plays files as RTSP cameras and makes test videos.
//
// It stands in for cameras in the demo, in tests and on developers' machines:
// New binds the port, Run serves until its context ends.
package simulate
