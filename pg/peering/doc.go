// Package peering holds the decisions of peering as plain functions of what the
// primary knows: whom to ask (the prior set), whose log is authoritative, and
// who serves (the acting set). The state machine around them is package pg.
//
// The rules are those of doc/dev/peering.rst and
// doc/dev/osd_internals/last_epoch_started.rst, as PeeringState of Ceph 16
// applies them to replicated pools.
package peering
