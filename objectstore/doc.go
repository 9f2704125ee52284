// Package objectstore states what an OSD asks of its local store: collections of
// objects with data, attributes and omap, changed by atomic transactions. The
// stores themselves are the packages below: filestore, on disk, and memstore, in
// memory. Both pass the suite in storetest.
//
// # Duties of the caller
//
//  1. A [Transaction] and all memory it refers to belong to the store from Submit
//     on; nobody writes to them any more. What a read returns is shared too.
//  2. The order of transactions is that of the Submit calls, per collection. A
//     transaction that touches several collections is ordered in each of them.
//  3. Commit callbacks only hand on; they never block and never call Submit.
//  4. When [Store.Failed] is closed the daemon stops. Nothing that was reported
//     committed is lost by that.
//
// # Wire form
//
// A transaction travels inside MOSDRepOp as Ceph's ObjectStore::Transaction,
// version 9 (src/os/Transaction.h in Ceph 16): the arguments of all steps
// concatenated, then the steps as fixed-size structs which refer to collections
// and objects by number, then both numberings, then totals. [Transaction.Encode]
// and [DecodeTransaction] keep write payloads as shared segments on both ways.
//
// Steps this project has no use for (the collection attributes and moves of
// before Ceph 12, OP_TRIMCACHE, OP_COLL_SET_BITS, which has no meaning for a store
// that does not keep PGs' bits by themselves) are refused by the decoder; nothing that
// Ceph 14 or later sends contains them.
package objectstore
