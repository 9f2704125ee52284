// Package message holds every message that clients, monitors, OSDs and
// managers exchange: one struct per message, named like Ceph's without the
// leading M, with its codec beside it, one file per conversation.
//
// [Encode] turns a [Body] into a [msgr.Message] and [Decode] does the reverse.
// Both consult the registry: plain tables, one line per message, in the file of
// the conversation, that hold the message's number, header version, oldest
// version a reader must know, and usual priority. The formats are those of
// src/messages/*.h in Ceph 16; the numbers those of src/msg/Message.h and
// src/include/ceph_fs.h.
//
// # Duties of the caller
//
//  1. A decoded message shares the memory of the segments it came from, and an
//     encoded one that of the payloads in the body. Nobody writes to either.
//  2. A body is not changed between Encode and the moment the message has left.
//  3. Payloads (In and Out of a [SubOp], Data of others) travel in the data
//     segment and are never copied here.
//  4. Lengths inside a decoded body are bounded by the bytes received; ranges,
//     permissions and meaning are for the receiver to judge.
//
// # Invariants
//
// Decoding what [Encode] made gives an equal body, but for a collection that is
// empty, which may come back nil or not. Encoding what Ceph 16.2.15 sent gives
// Ceph's bytes again.
//
// # Departures from Ceph
//
// Only the forms of Ceph 14 and later are read, and only those of Ceph 16 are
// written: a peer without the features of Pacific is refused before a message
// reaches it. [MonRaft], the transport of monitor consensus, is the project's
// own and has a number far outside Ceph's range; the monitor-to-monitor
// messages of Ceph (probe, election, paxos, sync) are not spoken.
package message
