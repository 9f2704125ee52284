// Package backfill decides when and how copies of placement groups are filled:
// which PG may use an OSD for recovery or backfill at a time, and how urgent that
// is.
//
// Everything here is a plain data structure: who asks, and what is done with the
// answer, is package pg and, for what several PGs of an OSD share, package osd.
//
// The rules follow doc/dev/osd_internals/backfill_reservation.rst and the
// behaviour of AsyncReserver and PeeringState in Ceph 16.
package backfill
