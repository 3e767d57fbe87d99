//go:build race

package main

// stormScale divides the requests of a storm: under the race detector each costs
// several times as much.
const stormScale = 5
