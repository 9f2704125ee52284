package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A later, more specific section wins, names may be spelled in any of Ceph's
// ways, and metavariables are replaced.
func TestFilePrecedenceAndMetavariables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ceph.conf")
	text := `
[global]
osd data = /x/$cluster/$name   ; where it lives
osd_max_backfills = 3
log file = $osd_data/log
unknown option of ceph = 1
[osd]
osd-max-backfills = 5
[osd.7]
osd max backfills = 7
mon host = "v2:127.0.0.1:1 # not a comment"
[osd.8]
osd max backfills = 8
`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c := New("osd", "7")
	if err := c.Load(path); err != nil {
		t.Fatal(err)
	}
	if got := c.Int("osd max backfills"); got != 7 {
		t.Errorf("osd max backfills = %d, want the value of [osd.7]", got)
	}
	if got := c.String("log_file"); got != "/x/ceph/osd.7/log" {
		t.Errorf("log file = %q", got)
	}
	if got := c.String("mon_host"); got != "v2:127.0.0.1:1 # not a comment" {
		t.Errorf("quoted value = %q", got)
	}
}

// Sources override each other in Ceph's order, and taking a value back reveals
// the one below.
func TestSources(t *testing.T) {
	c := New("osd", "0")
	c.SetMon(map[string]string{"osd_max_backfills": "2", "rgw_unknown": "x"})
	if got, src := c.Int("osd_max_backfills"), c.Source("osd_max_backfills"); got != 2 || src != FromMon {
		t.Errorf("from the monitors: %d, %v", got, src)
	}
	var seen []string
	c.Observe(func(name string) { seen = append(seen, name) }, "osd_max_backfills")
	if err := c.Set(FromOverride, "osd max backfills", "9"); err != nil {
		t.Fatal(err)
	}
	c.SetMon(nil)
	if got := c.Int("osd_max_backfills"); got != 9 {
		t.Errorf("override lost: %d", got)
	}
	c.Unset(FromOverride, "osd_max_backfills")
	if got := c.Int("osd_max_backfills"); got != 1 {
		t.Errorf("default = %d, want 1", got)
	}
	if len(seen) != 3 {
		t.Errorf("observer called for %v, want three times", seen)
	}
}

// What is not a value of the option's type is refused with a sentence that names
// the option.
func TestBadValues(t *testing.T) {
	c := New("osd", "0")
	for name, v := range map[string]string{
		"osd_max_backfills": "many", "osd_objectstore": "tape", "fsid": "123", "mon_osd_full_ratio": "2",
		"osd_max_object_size": "12Q", "ms_tcp_nodelay": "maybe", "debug_osd": "1/x", "no_such_option": "1",
		"client_mount_timeout": "soon",
	} {
		err := c.Set(FromFile, name, v)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s = %s: error %v", name, v, err)
		}
	}
}

// Values are read as Ceph reads them.
func TestParseValues(t *testing.T) {
	sizes := map[string]uint64{"4096": 4096, "64K": 65536, "128M": 128 << 20, "1.5G": 3 << 29, "2TiB": 2 << 40, "1kB": 1024}
	for s, want := range sizes {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "K", "-1", "99999999999E", "1x"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		}
	}
	spans := map[string]time.Duration{"20": 20 * time.Second, "0.5": 500 * time.Millisecond, "5m": 5 * time.Minute, "10ms": 10 * time.Millisecond, "2d": 48 * time.Hour}
	for s, want := range spans {
		if got, err := ParseSecs(s); err != nil || got != want {
			t.Errorf("ParseSecs(%q) = %v, %v", s, got, err)
		}
	}
}

// Options are taken out of a command line in all of their forms, the rest stays.
func TestParseArgs(t *testing.T) {
	c := New("osd", "0")
	rest, err := c.ParseArgs([]string{"-i", "0", "--mkfs", "--osd-data", "/a", "--osd_journal=/b",
		"--no-ms-tcp-nodelay", "--log-to-stderr", "--unknown", "x"}, "mkfs")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rest, " "); got != "-i 0 --mkfs --unknown x" {
		t.Errorf("rest = %q", got)
	}
	if c.String("osd_data") != "/a" || c.String("osd_journal") != "/b" || c.Bool("ms_tcp_nodelay") || !c.Bool("log_to_stderr") {
		t.Errorf("values not taken: %v", c.Diff())
	}
	if _, err := c.ParseArgs([]string{"--osd-data"}); err == nil {
		t.Error("an option without its value was taken")
	}
}

// Every form of "mon host" that clients take is read.
func TestMonHosts(t *testing.T) {
	for s, want := range map[string]string{
		"127.0.0.1":                              "v2:127.0.0.1:3300/0",
		"v2:127.0.0.1:40000":                     "v2:127.0.0.1:40000/0",
		"[v2:10.0.0.1:1,v1:10.0.0.1:2],10.0.0.2": "[v2:10.0.0.1:1/0,v1:10.0.0.1:2/0] v2:10.0.0.2:3300/0",
		"[v2:[::1]:5]":                           "v2:[::1]:5/0",
	} {
		hosts, err := MonHosts(s)
		var parts []string
		for _, h := range hosts {
			parts = append(parts, h.String())
		}
		if got := strings.Join(parts, " "); err != nil || got != want {
			t.Errorf("MonHosts(%q) = %q, %v; want %q", s, got, err, want)
		}
	}
	if _, err := MonHosts("nonsense host"); err == nil {
		t.Error("nonsense was taken for an address")
	}
}

// Whatever a file holds, it is read or refused, never a crash.
func FuzzParseFile(f *testing.F) {
	f.Add("[global]\na = b\\\n c\n")
	f.Add("[osd.0\nx")
	f.Add("'\"#;[]=")
	f.Fuzz(func(t *testing.T, s string) {
		sections, err := ParseFile(strings.NewReader(s))
		if err == nil && sections == nil {
			t.Error("neither result nor error")
		}
	})
}

// Every default is a valid value of its own option.
func TestDefaultsAreValid(t *testing.T) {
	for _, name := range Names() {
		o, _ := Lookup(name)
		if o.Default == "" || strings.Contains(o.Default, "$") {
			continue
		}
		if err := o.Check(o.Default); err != nil {
			t.Error(err)
		}
	}
}

// Values are stored and shown in one form each, that of Ceph.
func TestCanonicalValues(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"osd_max_backfills", "2K", "2000"},
		{"osd_max_object_size", "64M", "67108864"},
		{"mon_allow_pool_delete", "yes", "true"},
		{"mon_allow_pool_delete", "0", "false"},
		{"debug_osd", "10", "10/10"},
		{"debug_osd", "1/5", "1/5"},
		{"mon_osd_full_ratio", ".9", "0.900000"},
		{"client_mount_timeout", "5m", "300"},
		{"osd_max_backfills", "many", "many"},
	} {
		o, ok := Lookup(c.name)
		if got := o.Canonical(c.in); !ok || got != c.want {
			t.Errorf("%s = %s is stored as %q, want %q", c.name, c.in, got, c.want)
		}
	}
}
