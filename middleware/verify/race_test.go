//go:build race

package verify

import "runtime"

// The race detector of Go 1.26 crashes where timers of a synctest bubble run on
// several threads (golang/go#78156). It finds races by what happens before
// what, and so on one thread as well.
func init() { runtime.GOMAXPROCS(1) }
