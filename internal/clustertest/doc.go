// Package clustertest gives tests a cluster of separate daemon processes, started
// and stopped by cmd/cluster as a user would.
//
// The programs are built once per test binary. A test binary that uses the
// package runs its tests through [Main], which removes what the package made.
// Clusters live in directories with short names, because the path of a Unix
// domain socket may have only 107 bytes.
package clustertest
