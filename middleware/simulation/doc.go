// Package simulation is a test of package middleware: it tells many small stories
// of browsers, replicas and a provider, each drawn from a seed and played in
// virtual time, and checks the promises at every step of them. It has no code
// but the tests.
//
// There are thousands of stories, and fewer under the race detector, which
// makes each ten times as slow. A seed tells one story, the same each time and
// to the nanosecond: everything is drawn from who does what and when, and what
// would happen at one instant is drawn apart. Two things are left to chance,
// neither of them to be seen in a story but by a rare accident: of which access
// tokens a replica forgets that it has seen them (it looks into the store once
// more), and whether two draws are equal. More of the stories, or one again:
//
//	go test ./middleware/simulation -run '^TestSimulation$' -args -simulation.seeds=1000000
//	go test ./middleware/simulation -run '^TestSimulation$' -args -simulation.seeds=1 -simulation.seed=17
package simulation
