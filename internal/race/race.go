// Package race is imported by tests that run in a bubble of testing/synctest.
//
// The race detector of Go 1.26 crashes where timers of a bubble run on several
// threads (golang/go#78156). With it, this package restricts the process to one
// thread. The race detector finds races by what happens before what, and so on
// one thread as well.
package race
