// Package pg is one placement group as a plain function of (state, event): the
// peering state machine, client operations, replication, recovery and
// backfill of one copy, primary or not.
//
// The package follows doc/dev/peering.rst, doc/dev/osd_internals/ and the
// behaviour of PeeringState, PrimaryLogPG and ReplicatedBackend in Ceph 16.
//
// # Shape
//
// A [PG] receives events through [PG.Step] and appends what the outside must
// do to an [Effects]: messages to send, transactions to submit, timers to set.
// It reads the local store through objectstore.Reader and touches nothing else:
// there is no clock, goroutine, lock or random number in it, and no output
// depends on the iteration order of a map. The same events give the same
// effects.
//
// Peering is a table of every (state, event) in table.go; a state's own data
// lives in the state's struct in the file named after it. What only a
// primary has hangs off PG.lead, what only an active primary has off
// PG.active; they are nil otherwise.
//
// # Duties of the caller
//
//  1. One Step at a time per PG. After Step returned, the effects are carried
//     out in order, each Submit before the next Step: the core relies on
//     readers seeing what was submitted. [Drive] does this.
//  2. While [PG.HasWork] says so, Step is called again with [Continue].
//     [Drive] does this too.
//  3. Transactions are submitted in order. Each that has a token is answered by
//     [Committed] with that token once it is durable, in order. After a crash
//     the PG is made again by [Load]; nothing else survives.
//  4. Maps arrive one epoch after another, none left out, as [NewMap]; More is
//     set on all but the last that are at hand. After [New] and [Load] the first
//     is the one the PG was made with.
//  5. Messages between two OSDs arrive in the order sent, or the session is
//     lost and with it an interval or a copy: a lossless session or a restart.
//  6. Now never goes backwards.
//
// # Invariants
//
//   - A write is acknowledged only when every member of the acting set and every
//     backfill target committed it.
//   - What a PG answers for, it answers in one interval: everything in flight is
//     dropped when the up or acting set changes.
//   - The log on disk describes the objects on disk after every transaction.
//   - A primary answers only while its replicas have confirmed it, and not before
//     its predecessors have stopped; see lease.go.
//
// # Departures from Ceph
//
//   - Reads are synchronous, so that read locks are never held over an event.
//   - Peering has no state without a rule for every event; what Ceph's machine
//     would crash on is either given a meaning or counted and dropped.
//   - The notifies under way in a PG are bounded; more are refused with EBUSY.
//   - There are no clones: a write that would have to keep one for a snapshot is
//     refused with EOPNOTSUPP, and a snapshot shows what has not changed since.
package pg
