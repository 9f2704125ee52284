// Package ops executes the operations of a client's request on one object:
// it reads through objectstore.Reader, appends the changes to a transaction,
// and keeps the object's state, statistics and results in a [Context].
//
// Each family of operations has a file with a table of its own; [Context.Run]
// looks an operation up and applies the rules that hold for all: the first
// failure ends the request unless the operation may fail, and nothing a failed
// request wanted is applied.
//
// # Duties of the caller
//
//  1. The caller holds off whatever would change the object meanwhile.
//  2. After Run returned an error the transaction and the new state are thrown
//     away; results and outputs up to the failed operation count.
//  3. Operations on whole PGs go to [List], not to a Context.
//
// # Invariants
//
//   - Reads within a request see the object as it was before the request, except
//     for its size and existence, as in Ceph (replicated pools).
//   - Run does not depend on time or chance.
//
// # Document
//
// PrimaryLogPG::do_osd_ops and the functions it calls, in src/osd of Ceph 16;
// src/include/rados.h for the codes.
//
// # Departures from Ceph
//
//   - An operation whose arguments run over its input fails with EINVAL where
//     Ceph would drop the request, and so does a zeroing of no bytes, on which
//     Ceph's OSD ends with a failed assertion.
//   - What one request reads or writes is bounded (EMSGSIZE beyond), and so are the
//     watchers of an object (EBUSY) and the size that a write which overtook a
//     truncation gives it (EFBIG).
package ops
