// Package sim is a whole cluster in one process on virtual time: several OSDs
// with the real pg, pglog and osdmap code over stores in memory, a monitor that
// makes maps, clients that keep a history, and faults. docs/simulator.md is its
// manual.
//
// # Shape
//
// A [world] is a queue of events ordered by virtual time and one random
// generator; nothing else decides. A run ([Run]) is single-threaded, knows no clock
// and iterates over no map where order could show, so that a seed always gives
// the same trace, to the byte. [RunSeeds] does many at once.
//
// Time passes only from event to event. Messages travel encoded, on wires that keep
// order between two ends, each with delays of its own. An OSD's store holds what is
// submitted until its disk commits it; a crash keeps a part that was not committed,
// or none.
//
// A run has two phases. In the safety phase faults happen (faults.go). Then all
// that can come back comes back, and within a bounded number of events every PG
// must be clean and every operation answered. At the end the checkers of package
// check look at the history and the stores.
//
// # Duties of who changes package pg
//
// A new effect must be wired in node.effect, a message to clients in
// session.reply, and one that OSDs exchange all the time, even at rest, in
// isBackground; until then a run panics, and says so.
//
// # Departures from a real cluster
//
//   - There is one monitor; it never forgets.
//   - Maps are never trimmed.
//   - All PGs of an OSD get a map at once; commits of different PGs may overtake each
//     other.
package sim
