//go:build race

package main

import "time"

// stormScale divides the requests of a storm, and those of them that come at once:
// under the race detector each costs several times as much.
const stormScale = 5

// stormGrace is the grace of a storm's provider, whose clock is not slower for the
// race detector.
const stormGrace = time.Minute
