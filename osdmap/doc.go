// Package osdmap holds the maps of a cluster: the OSD map with its increments
// and pools, the placement of objects and placement groups, the past intervals
// of a placement group, and the monitor map.
//
// Encodings are those of src/osd/OSDMap.{h,cc}, src/osd/osd_types.{h,cc} and
// src/mon/MonMap.{h,cc} in Ceph 16 with every Pacific feature on; versions are
// told apart only in the codecs. Placement follows OSDMap::_pg_to_up_acting_osds
// and agrees with it bit for bit.
//
// # Duties of the caller
//
//  1. A [Map] that more than one goroutine can see is never written to. To
//     change one, take [Map.Clone] and [Map.Apply] an [Incremental] to it.
//  2. A [Pool], a [crush.Map] and every vector held in a map's containers are
//     replaced, never written to: clones share them.
//  3. After changing PGNum or PGPNum of a pool by hand, nothing else is to be
//     done; the masks are derived when they are needed.
//
// # Invariants
//
//   - All per-OSD slices of a map have MaxOSD elements; PrimaryAffinity may be
//     nil, which stands for the default everywhere. Decoders refuse a map where
//     this does not hold, so that nothing indexes out of range later.
//   - Encoding is canonical: decoding what Ceph 16 encoded and encoding it again
//     gives the same bytes and the same CRC.
//   - No function panics whatever bytes a map was decoded from.
//
// # Departures from Ceph
//
//   - Struct versions from before Ceph 14 are refused.
//   - Ids in increments that are out of range are an error of [Map.Apply], where
//     Ceph aborts.
package osdmap
