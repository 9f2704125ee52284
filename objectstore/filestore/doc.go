// Package filestore is a store on a file system (ext4, XFS, btrfs, tmpfs): objects
// are files, everything small is in Pebble, and a journal makes transactions durable.
// It follows Ceph's FileStore where that shows on the disk (directories by hash,
// chained attributes) and departs from it where FileStore's ways cost safety or speed;
// the departures are named below.
//
// # What is where
//
//	fsid ceph_fsid whoami type store_version ready   small text files; ready is the last of mkfs
//	journal                  see journal.go for its form
//	omap/                    Pebble: object index, small objects, omap, checksums, attributes that spilled; keys.go
//	current/COLL/[DIR_X/...] data files
//	fresh/                   data files whose transaction is not known to be durable
//
// The index in Pebble is the truth about which objects there are; its keys sort as
// objects do, so a listing from any position is one walk (FileStore reads its directories).
// The directories are the truth about data: each file is there under a name that says
// the object's, and ends in a number no other file ever had. A new file goes into the
// topmost directory on its hash's path that has room ("filestore split multiple" and
// "merge threshold" say how much), so trees deepen as they fill and empty from
// below; the index notes the depth, and nothing is moved for that, which spares FileStore's
// splits and merges and their crash states. When a PG splits or merges only the index
// changes; the files stay under the collection they were made in.
//
// An object of a few KiB may have no file ([Options.SmallMax], small.go): making one costs the
// file system more than all the rest of a write. Its data is a value in Pebble, its
// attributes are part of its index entry. Both are absolute, as all in a record, so
// nothing below is different for them. Once such an object has more it gets
// a file, and keeps it. What was read of such data stays in memory for a while
// (smallcache.go).
//
// Whether an object is there at all is asked most often of those that are about to be
// made. A filter in memory for each collection says so without a look into Pebble's levels
// (presence.go).
//
// # The way of a transaction
//
//  1. Submit resolves it: under the locks of its collections the steps are run against
//     the objects' metadata in memory. The outcome is a record: a Pebble batch, and
//     changes to files (write these bytes there, set this attribute so). Readers see
//     the outcome from now on: the new metadata directly, data and omap as changes laid
//     over what file and Pebble have. A step that fails leaves no trace.
//  2. Fresh data (below), if any, is written to its file and synced.
//  3. The journal takes records in an order that keeps that of each collection. All that
//     gathered while the sync before was running go into one round: one write, one
//     sync, for all collections. Then the callbacks run.
//  4. Only then is it applied: the round's batches to Pebble as one, the changes to
//     files by workers, each file always by the same one. Nothing is synced here, and
//     Pebble has no log of its own.
//  5. A checkpoint, every few seconds or when the journal fills, syncs the file system,
//     flushes Pebble, notes in the journal's header that replay starts after the
//     last round that was applied before that, syncs the header, and frees the space.
//
// # Why replay is right
//
// A record is absolute: bytes at a place in a file named by its number, a value for a
// key. Clones, ranges copied between objects, renames and splits are resolved to that
// before they are journaled; no operation reads what it changes, and numbers are never
// used twice, not even for files of transactions that were lost (a mount takes 2^40
// numbers and makes that durable first). So replaying all records since a checkpoint, in
// order, onto files and keys of which each is somewhere between its state then and its
// state at the crash gives the state at the end of the journal: what a record
// changes, the last record to change it decides; what none changes is as the
// checkpoint left it. FileStore needs guards on objects and collections for
// this, because its records are the steps themselves.
//
// Two things need a look ahead. A file may be found at any place the journal's
// renames give it, or in fresh/, whichever the crash left: the replay collects those
// places first. And a file that a later record removes may be gone: changes to it
// are skipped.
//
// # Fresh data: written once
//
// A write of [Options.FreshMin] bytes or more goes to its file before the record, and
// is not in the record at all, where no reader and no replay can mind:
//
//   - to a new file, for an object without one, for a clone, and for a write that
//     leaves no byte of the old content: the old file is removed by the record. The new
//     one lies in fresh/ until the record is applied;
//   - beyond the end of the object, if no change since the last checkpoint reaches as far
//     into the file: a replay of such a change would destroy it. "heat" keeps account
//     of that. A file made by a record counts as changed all over, because its
//     entry is not durable before the checkpoint.
//
// File data, then the entry in fresh/, are synced before the round that holds the
// record is written. All other writes go through the journal. The data of a new file
// bypasses the page cache (direct.go): it is copied to the disk and nowhere else.
//
// A new file of an object of which a client has said that it will be written from its
// beginning to its end, or only appended to, gets room for that in one piece, up to 4 MiB. All
// other files take what is written to them and no more: what reads as zeros stays a hole,
// in clones too.
//
// # Crash points
//
//   - Before fresh data is synced, or between that and the record: the object is as
//     before. A file in fresh/ is removed by the next mount; bytes beyond an object's end
//     are never read, because the size is the index's, and a later write that leaves a
//     gap zeroes it explicitly.
//   - While the round is written: its tail fails its checksum and is cut off. None of
//     the round was reported. What follows a tear could only be parts of the same
//     round, and the next mount's chunks have numbers beyond all of them.
//   - After the sync, before or while applying: replay.
//   - While a checkpoint syncs: the header still names the old start: replay of more
//     than needed.
//   - While the header is written: two slots are written in turn, the other one counts.
//   - After the header: the space before it may be written over.
//   - While a mount replays: the header is as it was; replay again.
//
// A chunk that fails its checksum although a later one says that it was durable is
// damage, and the store does not start; it is never skipped.
//
// # Checksums
//
// Each block of 4096 bytes of an object's data has a CRC-32C in Pebble, 64 to a key,
// written by the record that changes the block. Every read checks the whole blocks it
// touches; a mismatch is ErrIO and a line in the log, and so is a write that would have to
// keep bytes of such a block.
//
// An object's index entry has the CRC-32C of all its attributes, names and values, in
// the file system and spilled; they are always looked up together, and a mismatch is
// ErrIO for all of them: what is wrong may be that one is missing. The chains
// themselves stay as Ceph has them. Stores of version 1 have no such checksum; an object
// gets it when an attribute of it changes.
//
// Journal and Pebble have checksums of their own, small objects with them. Pebble takes damage in the last record
// of its manifest for the trace of a crash and goes back to the state before, and the same
// looks the directory of an older copy; so a mount compares the last round that Pebble knows of
// with the place where the journal begins, and refuses a key-value store that is behind.
//
// # Versions
//
// The file store_version says what programs must know to read the store: 2 brought
// checksums of attributes, 3 objects without files. A mount makes older stores the current
// version, which older programs refuse; nothing is converted.
//
// # Failures
//
// What fails decides what becomes of it:
//
//   - A read that fails, or does not match its checksum, is ErrIO to the reader alone. Where
//     it is Submit that reads, to resolve a step, that transaction is refused and leaves no
//     trace.
//   - HasRoom says no when data would come out of the reserve ([Options.ReserveBytes]): the
//     OSD asks before it lets a client write, and that fails the write alone. What
//     is submitted all the same, because another OSD let it in, may take half of
//     the reserve; beyond that it is refused with ErrNoSpace, which stops the OSD. Later it
//     could not be: readers see a transaction before its fresh data is written. What
//     brings no data passes, and so does what concerns the OSD alone (its maps): removals,
//     and the log entries with them, are possible on a full disk. The journal is allocated
//     before it is written, and the other half of the reserve is there for the rest.
//     Available in Statfs is without the reserve.
//   - A journal that finds no room to grow stays as large as it is; the writer waits for
//     checkpoints. A record that could not be written even so is refused by Submit.
//   - An attribute the file system has no room for goes to the key-value store.
//   - A failed write or sync of the journal, of fresh data, of an apply, of a checkpoint or by
//     the key-value store closes Failed: after it nobody can tell what the
//     disk holds, and no callback runs any more. What was reported is in the journal, and the
//     next mount replays it. Pebble changes nothing from then on (kvfs.go): left to itself it
//     ends the process at some errors, and tries again for ever at others.
//   - Damage that a mount finds, in the journal, in Pebble's files or in the small files, keeps
//     the store from starting, with a sentence that says what to do.
//
// The tests take these at their word: a loss of power at every call, in the recovery
// too; every call failing, once and for good; flipped bits in every kind of file
// (crash_test.go, fault_test.go, damage_test.go). testdata/traces.txt has the calls of each
// kind of transaction in order.
//
// # Bounds
//
// The throttle bounds bytes and transactions between Submit and applied; rounds,
// the journal's growth, descriptors and cached objects have their options. An object in use
// by a transaction on its way stays in memory, which the throttle bounds too.
package filestore
