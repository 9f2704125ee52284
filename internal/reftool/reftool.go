// Package reftool finds the reference implementation's programs for tests that
// compare with them.
//
// A machine without Ceph's packages still runs every other test: a test that
// calls [Need] is skipped there. Under continuous integration (the environment
// variable CI is set) an absent program is a failure instead, so that the
// comparison cannot vanish unnoticed.
package reftool

import (
	"os"
	"os/exec"
	"testing"
)

// Need returns the path of the program prog. Where it is not installed the
// test is skipped, or fails when CI is set.
func Need(t testing.TB, prog string) string {
	t.Helper()
	path, err := exec.LookPath(prog)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("reference program %q is not installed: %v", prog, err)
	}
	t.Skipf("reference program %q is not installed (Debian: ceph-common, ceph-base)", prog)
	return ""
}
