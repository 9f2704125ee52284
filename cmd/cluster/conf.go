package main

import (
	"fmt"
	"slices"
	"strings"
)

// confText is the ceph.conf of the cluster: for its daemons, and for any Ceph
// client.
func (c *cluster) confText() string {
	var hosts []string
	for i := range c.Mons {
		hosts = append(hosts, c.monAddr(i))
	}
	defaultSize := min(3, len(c.OSDs))
	// A pool of one copy loses data with its OSD, so monitors refuse it unless told
	// otherwise, which whoever asks for one OSD or one copy here does.
	sizeOne := ""
	if defaultSize == 1 || slices.ContainsFunc(c.Pools, func(p pool) bool { return p.Size == 1 }) {
		sizeOne = "mon allow pool size one = true\n"
	}
	return fmt.Sprintf(`# A cluster on this machine. Any Ceph client uses it with -c and this file.
[global]
fsid = %[1]s
mon host = %[2]s
auth cluster required = none
auth service required = none
auth client required = none
public addr = 127.0.0.1
ms bind msgr1 = false
osd pool default size = %[3]d
osd pool default min size = %[4]d
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon osd reporter subtree level = osd
mon allow pool delete = true
%[7]srun dir = %[5]s/run
pid file = %[5]s/run/$name.pid
log file = %[5]s/log/$name.log
admin socket = %[5]s/run/$name.asok

[mon]
mon data = %[5]s/mon.$id

[osd]
osd data = %[5]s/osd.$id
osd objectstore = %[6]s

[client]
pid file =
log file =
admin socket =
keyring = /dev/null
`, c.FSID, strings.Join(hosts, ","), defaultSize, pool{Size: defaultSize}.minSize(), c.dir, c.Store, sizeOne)
}
