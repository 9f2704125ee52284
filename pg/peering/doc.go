// Package peering holds the decisions of peering as plain functions of what the
// primary knows: whom to ask (the prior set), whose log is authoritative, who
// serves (the acting set), and who is brought up to date beside it.
//
// The rules are those of doc/dev/peering.rst and of last_epoch_started.rst and
// async_recovery.rst in doc/dev/osd_internals, as PeeringState of Ceph 16 applies
// them to replicated pools. testdata has them as stories; a test takes them through
// random histories of a PG and checks that nothing clients were told is ever lost.
//
// # Departures from Ceph
//
//   - Who leads is never taken out of the acting set to recover beside it.
//   - A choice is stable: asked for in place, it is made again.
//   - How far back a member's log is asked for: see [MissingQuery].
package peering
