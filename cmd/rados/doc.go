// Command rados stores, reads and lists objects and measures a cluster's speed,
// with the sub-commands, flags, output and exit status of Ceph's program of that
// name (doc/man/8/rados.rst; observed on Ceph 16.2.15). It needs none of Ceph's
// libraries.
//
// # Departures from Ceph
//
//   - put and append of a file that cannot be read exit with status 1, not 0.
//   - With --format, a write benchmark tells of its cleaning up on standard error,
//     where Ceph mixes that into the JSON.
//   - A read benchmark of fewer operations than are to be in flight starts only as
//     many; Ceph fails. A write benchmark with --max-objects writes no more than
//     that, even at the start.
//   - A benchmark shows a progress bar if standard error is a terminal.
//   - What is not served (snapshots of objects, locks, watches, cache tiers, export,
//     load-gen, the striper) is an unrecognized command.
package main
