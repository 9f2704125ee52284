// Package crash holds tests that kill, stop and restart real daemons under load and
// prove that nothing that was acknowledged is lost.
//
// A [workload] of many workers changes a few hundred objects through package rados
// and knows of each what was acknowledged and what is in doubt: issued, and not
// answered before its client was gone. Everything written says of itself which
// object and which change it is of. A [cluster] runs the daemons and injects the
// faults. After each scenario:
//
//   - every placement group becomes active+clean within a bounded time;
//   - every object is as its last acknowledged change left it, or as one of those
//     in doubt after it did (history_test.go); what many clients appended to one object is
//     there exactly once and in order (appendlog_test.go);
//   - reads during the faults never showed anything older than what was
//     acknowledged before they began;
//   - all copies are equal, byte for byte, as read from the stopped OSDs' stores
//     (copies_test.go).
//
// The random choices of a run follow from a seed that is printed; scheduling does
// not, so that the seed repeats the faults' kinds and order, not their instants.
//
// Environment: SEPIOLA_CRASH_SEED is the seed, SEPIOLA_CRASH_SOAK how long the soak of
// random faults goes on (a duration; default 8s), SEPIOLA_CRASH_KEEP=1 leaves the
// cluster's directory where it is after a failure.
package crash
