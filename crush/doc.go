// Package crush is CRUSH: the map of a cluster's devices, buckets and rules,
// the function that maps an input to devices, the operations that change the
// map, and its binary and text forms. All are bit-exact with Ceph 16.
//
// The algorithm is the one of "CRUSH: Controlled, Scalable, Decentralized
// Placement of Replicated Data" (Weil et al., SC 2006) as Ceph refined it
// (src/crush/mapper.c); the binary form is CrushWrapper::encode
// (src/crush/CrushWrapper.cc); the text form is the one of Ceph's crushtool
// (src/crush/grammar.h, CrushCompiler.cc).
//
// # Duties of the caller
//
//  1. A [Map] has no lock. Mapping ([Map.DoRule]) and every other reading
//     method may run concurrently with each other, never with a change. Who
//     shares a map treats it as frozen and changes a [Map.Clone].
//  2. A [Workspace] belongs to one goroutine at a time. It may be used with any
//     map.
//  3. Weights are 16.16 fixed point ([One] is 1.0) unless a parameter is a
//     floating-point number.
//
// # Invariants
//
//   - Buckets[i] is nil or has ID -1-i; buckets have negative ids, devices ids
//     from 0.
//   - DoRule ends and does not panic on any map, also one with cycles, ids that
//     lead nowhere, or absurd tunables: a descent is bounded by the number of
//     buckets and a whole mapping by a budget far above what a sound map uses.
//     [Map.Validate] names such faults.
//
// # Departures from Ceph
//
//   - Where Ceph would loop, abort or read out of bounds on a faulty map, the
//     mapping gives up that position and the decoder returns an error. Empty
//     names, device ids from [MaxDevicesLimit] and bucket ids beyond
//     [MaxBuckets] are refused.
//   - A change ([Map.InsertItem] and the like) does all or nothing.
//   - Tree buckets hold at most 64 items: beyond that Ceph's own encoding, whose
//     node count is one byte, overflows.
//   - Some changes of Ceph leave parts of a map inconsistent, ours do not:
//     reweighting list and tree buckets keeps their inner sums; removing an item
//     of a uniform bucket leaves the others' weight; the shadows of tree buckets
//     have all their nodes set; with weight sets of several positions the
//     shadows' and [Map.Reweight]'s sums are right at each. The resulting maps
//     mean the same to every client.
package crush
