// Package wire holds the primitives of Ceph's encoding: little-endian scalars,
// length-prefixed strings and containers, versioned envelopes, and payloads as
// lists of shared segments.
//
// The format is the one of doc/dev/encoding.rst and src/include/encoding.h in
// Ceph 16. Everything above builds its codecs from these pieces; nothing here
// knows any particular type.
//
// # Duties of the caller
//
//  1. A [Decoder] keeps its first error; after it every read returns zero. Check
//     [Decoder.Err] once, when the value is complete.
//  2. Before allocating for a container, take its length with [Decoder.Count],
//     which refuses a count that could not fit in what is left. Never allocate
//     from a bare U32.
//  3. A [Buf] shares its segments with whoever made it. Nobody writes to a
//     segment once it is in a Buf.
package wire
