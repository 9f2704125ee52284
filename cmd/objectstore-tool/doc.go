// Command objectstore-tool looks into, checks and repairs the store of a stopped OSD,
// with the flags, the output and the exit statuses of Ceph's ceph-objectstore-tool
// (src/tools/ceph_objectstore_tool.cc in Ceph 16).
//
// # What it opens
//
// The data directory of an OSD of this project with filestore. Opening replays the
// journal, as a start of the OSD does; a store that a running OSD holds is refused. An
// OSD that keeps its data in memory has nothing to open.
//
// # Exports
//
// An export is a stream in Ceph's own format (src/tools/RadosDump.h), read by
// Ceph's tool of version 16 as its own are by this one: see dump.go.
//
// # What happens when it is killed
//
// An import first makes the PG's collection with the mark "_remove" in its metadata
// object, which Ceph uses for the same purpose, then writes one object
// after another, and stores the PG's info and log and takes the mark off in one last
// transaction. A removal sets the mark first and removes the metadata object last, with
// the collection. So a PG is either whole or marked; whatever comes next, be it an
// import, a removal or a start of the OSD, first removes what is marked. No other
// operation takes more than one transaction, except set-bytes of more than 64 MiB.
//
// mark-complete, trim-pg-log and their like change a PG's metadata in one transaction each,
// or one for each piece; dup copies to a store that belongs to no OSD until all of it
// is there.
//
// # Departures from Ceph
//
// Operations that are not here are refused with a sentence that says what to do instead:
// repair, fuse, dump-journal, update-mon-db, list-slow-omap, apply-layout-settings; and so are
// --skip-journal-replay and --skip-mount-omap. An option that is not known is
// refused, where Ceph's tool ignores it; of those of the configuration the three are known
// that trim-pg-log and trim-pg-log-dups heed. Lists of PGs are sorted. An import
// refuses a PG whose map the OSD has trimmed even with --force: such a PG could not be
// started from. "--op fsck" exists for Ceph's BlueStore only; it finds here what
// filestore's Fsck finds, and --deep stands for fsck-deep too. trim-pg-log keeps what the
// requests it trims were told, as OSDs do. set-superblock and set-osdmap refuse what an OSD
// could not read. The exit status of dump-super is 0.
package main
