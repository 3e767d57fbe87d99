//go:build !race

package main

import "time"

// stormScale divides the requests of a storm, and those of them that come at once.
const stormScale = 1

// stormGrace is the grace of a storm's provider, the shortest that is recommended.
const stormGrace = 10 * time.Second
