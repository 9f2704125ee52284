package hostinfo

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Collect returns what is known of the machine, by Ceph's names. What cannot be
// found out is left out.
func Collect() map[string]string {
	meta := map[string]string{"os": "Linux"}
	if h, err := os.Hostname(); err == nil {
		meta["hostname"], _, _ = strings.Cut(h, ".")
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		meta["os"] = unix.ByteSliceToString(u.Sysname[:])
		meta["arch"] = unix.ByteSliceToString(u.Machine[:])
		meta["kernel_version"] = unix.ByteSliceToString(u.Release[:])
		meta["kernel_description"] = unix.ByteSliceToString(u.Version[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		meta["mem_total_kb"] = fmt.Sprint(uint64(info.Totalram) * uint64(info.Unit) >> 10)
		meta["mem_swap_kb"] = fmt.Sprint(uint64(info.Totalswap) * uint64(info.Unit) >> 10)
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if model := cpuModel(b); model != "" {
			meta["cpu"] = model
		}
	}
	if b, err := os.ReadFile("/etc/os-release"); err == nil {
		distribution(b, meta)
	}
	return meta
}

// cpuModel finds the first "model name" of /proc/cpuinfo.
func cpuModel(cpuinfo []byte) string {
	for lines := bufio.NewScanner(bytes.NewReader(cpuinfo)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// distribution reads os-release(5).
func distribution(release []byte, meta map[string]string) {
	names := map[string]string{"ID": "distro", "PRETTY_NAME": "distro_description", "VERSION_ID": "distro_version"}
	for lines := bufio.NewScanner(bytes.NewReader(release)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if key := names[name]; ok && key != "" {
			if s, err := strconv.Unquote(value); err == nil {
				value = s
			}
			meta[key] = strings.Trim(value, "'")
		}
	}
}
