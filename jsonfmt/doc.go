// Package jsonfmt writes JSON field by field, in the order and the spelling of
// Ceph's JSONFormatter (src/common/Formatter.cc in Ceph 16), so that scripts
// that read the output of Ceph's commands read ours. encoding/json cannot: it
// has no compact notion of order across embedded parts, and prints floats and
// indentation differently.
//
// # Duties of the caller
//
// Every Open is matched by a [Writer.Close]. Names are ignored inside arrays and
// for the outermost section, as in Ceph, and are written without escapes: they
// are the program's own, or pool and profile names that monitors restrict.
//
// # Departures from Ceph
//
// Times are always written in UTC. A name with a quote or a control character is
// escaped, where Ceph writes broken JSON.
package jsonfmt
