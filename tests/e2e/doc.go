// Package e2e proves that Ceph's own programs use a Sepiola cluster unmodified
// and print what they print against Ceph.
//
// Its tests start clusters of daemon processes with cmd/cluster and drive them
// with rados, ceph, osdmaptool and crushtool. Where a test says that an output is
// Ceph's, it runs the same command against a cluster of the reference
// implementation at the same time and compares; there are no recorded outputs to
// grow stale. Without Ceph's programs the tests are skipped, and fail under
// continuous integration (see internal/reftool).
package e2e
