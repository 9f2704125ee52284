package hostinfo

import (
	"maps"
	"testing"
)

// A processor's model is the first that /proc/cpuinfo names.
func TestCPUModel(t *testing.T) {
	info := "processor\t: 0\nvendor_id\t: X\nmodel\t\t: 85\nmodel name\t: Fast @ 2.50GHz\n\nprocessor\t: 1\nmodel name\t: Slow\n"
	if got := cpuModel([]byte(info)); got != "Fast @ 2.50GHz" {
		t.Errorf("the model is %q", got)
	}
	if got := cpuModel([]byte("processor : 0\n")); got != "" {
		t.Errorf("the model is %q where none is named", got)
	}
}

// Values of os-release come bare, in double or in single quotes; what Ceph does
// not show is left out.
func TestDistribution(t *testing.T) {
	got := map[string]string{}
	distribution([]byte("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID='12'\nHOME_URL=\"x\"\n# ID=y\n"), got)
	want := map[string]string{"distro": "debian", "distro_description": "Debian GNU/Linux 12 (bookworm)", "distro_version": "12"}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A daemon always can say where it runs.
func TestCollect(t *testing.T) {
	got := Collect()
	for _, name := range []string{"arch", "hostname", "kernel_description", "kernel_version", "mem_swap_kb", "mem_total_kb", "os"} {
		if got[name] == "" {
			t.Errorf("no %s in %v", name, got)
		}
	}
}
