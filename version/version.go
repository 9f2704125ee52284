// Package version says which program this is and which release of Ceph it
// stands for on the wire.
package version

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// Sepiola is this program's own version.
const Sepiola = "0.1.0"

// The release of Ceph whose protocol and behaviour this program has. Clients
// and tools decide by these what they may ask for.
const (
	Ceph        = "16.2.15"
	Release     = "pacific"
	ReleaseType = "stable"
	// ReleaseNum is CEPH_RELEASE_PACIFIC in src/include/rados.h.
	ReleaseNum = 16
)

var revision = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
})

// Revision is the commit the program was built from, "unknown" where the build did
// not record it.
func Revision() string { return revision() }

// Pretty returns the line that "ceph versions" and "ceph tell X version" show. It
// has the shape clients parse: "ceph version N (commit) release (type)".
func Pretty() string {
	return fmt.Sprintf("ceph version %s (sepiola %s, %s) %s (%s)", Ceph, Sepiola, Revision(), Release, ReleaseType)
}
