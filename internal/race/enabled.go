//go:build race

package race

import "runtime"

// Enabled reports whether the race detector is on.
const Enabled = true

func init() { runtime.GOMAXPROCS(1) }
