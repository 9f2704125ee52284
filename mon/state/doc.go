// Package state is what the monitors agree on: the monitor map, the OSD map
// with its increments, PGs to be created, OSD metadata, the configuration
// database, the cluster log, global ids and the manager map.
//
// A [Machine] executes [Command]s. It is deterministic: an outcome depends on
// the state, the command and the batch's time only; settings that matter to a
// decision travel in the command. Commands of one batch are executed in order,
// each seeing what the ones before it did, and share one new epoch of the OSD
// map.
//
// # Duties of the caller
//
//  1. A Machine is not safe for concurrent use. Its [State] may be read between
//     calls of Apply; maps and values in it are replaced, never written to, so
//     what was read stays valid.
//  2. Commands that reached the log are executed even if who sent them is gone:
//     check authority before proposing.
//
// # Invariants
//
//   - State.OSD has all epochs from FirstEpoch to LastEpoch on disk, full and as
//     increments, except that FirstEpoch has no increment.
//   - An OSD that is up has metadata.
//   - A PG is in Creating from the epoch its pool appeared (or grew) until its
//     primary reported it created, or its pool went away.
//
// Behaviour follows src/mon/OSDMonitor.cc, ConfigMonitor.cc, LogMonitor.cc and
// MgrMonitor.cc of Ceph 16. Departures: commands are in the log instead of
// transactions, keys are readable, and small records are JSON.
package state
