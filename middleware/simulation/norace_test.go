//go:build !race

package simulation_test

const simUsual = 4000
