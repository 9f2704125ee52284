// Package hostinfo tells on what machine a daemon runs, in the words of "ceph osd
// metadata" and "ceph mon metadata": collect_sys_info in src/common/util.cc of
// Ceph 16.
package hostinfo
