// Package config reads Ceph's configuration: ceph.conf, command-line flags, the
// monitors' configuration database and run-time overrides, with Ceph's option
// names, types and order of precedence.
//
// Follows doc/rados/configuration/ceph-conf.rst and src/common/options.cc of
// Ceph 16. A name may be written with spaces, dashes or underscores. Values
// may hold the metavariables $cluster, $type, $id, $name, $host, $pid and other
// options. Options of Ceph that this program does not have are accepted in a
// file, so that one ceph.conf serves both; on a command line they are refused.
package config
