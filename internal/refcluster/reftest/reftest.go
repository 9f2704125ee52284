// Package reftest gives tests a running cluster of the reference implementation.
package reftest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sepiola/internal/refcluster"
	"sepiola/internal/reftool"
)

// EnvConf names the environment variable that holds the path of the ceph.conf of a
// reference cluster that runs already. Tests make pools there and remove them.
const EnvConf = "REFERENCE_CONF"

// startLimit is how long a private cluster may take to come up.
const startLimit = 2 * time.Minute

// Conf returns the path of the ceph.conf of a reference cluster: the one that
// REFERENCE_CONF names, or one that is started for the test, keeps its objects in
// memory, and ends with the test. Without the reference's programs the test is
// skipped, or fails when CI is set.
func Conf(t testing.TB) string {
	t.Helper()
	reftool.Need(t, "ceph")
	reftool.Need(t, "rados")
	if path := os.Getenv(EnvConf); path != "" {
		return path
	}
	for _, prog := range refcluster.Programs {
		reftool.Need(t, prog)
	}
	if testing.Short() {
		t.Skip("a reference cluster takes 20 seconds to start and stop; set " + EnvConf + " to use one that runs")
	}
	// Admin sockets must have short paths; a test's own directory may be too deep.
	dir, err := os.MkdirTemp("", "ref")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	c, err := refcluster.Start(ctx, filepath.Join(dir, "c"), refcluster.Options{Store: "memstore", OSDs: 3, Port: freePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c.Conf()
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
