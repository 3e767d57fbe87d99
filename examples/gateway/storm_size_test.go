//go:build !race

package main

// stormScale divides the requests of a storm.
const stormScale = 1
