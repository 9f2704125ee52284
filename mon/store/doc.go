// Package store replicates the monitors' commands and keeps what they made of
// them: a log agreed on through go.etcd.io/raft/v3, with the log, raft's own
// state and the applied state in one Pebble database.
//
// A [Node] takes commands, groups all that wait into one log entry, and hands
// each committed entry to the [Machine], whose answers go back to the callers
// and whose changes are written together with the index of the entry. An
// answer is given only after the entry is on disk at a majority.
//
// # Duties of the caller
//
//  1. [Machine.Apply] is deterministic: it looks at its state, the commands and
//     the time in the [Batch], and at nothing else. It runs on the node's
//     goroutine and must not call back into the node.
//  2. Everything that the machine must know after a restart is in the changes
//     it returns; [Machine.Restore] rebuilds it from the keys alone.
//  3. A node that calls Config.Fatal has stopped. Its state on disk is whole; the
//     process should end.
//
// # Departures from Ceph
//
// Ceph replicates through its own Paxos with a transaction as value
// (src/mon/Paxos.h), proposed by the leader. Here the value is the command, and
// every monitor computes the same transaction from it.
package store
