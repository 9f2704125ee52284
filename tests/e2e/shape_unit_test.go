package e2e

import (
	"slices"
	"testing"
)

func mustParse(t *testing.T, s string) value {
	t.Helper()
	v, err := parseJSON(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What the comparisons of this package rest on: a member that is missing, added,
// moved, of another type or another word is told; other numbers, times and
// identities are not.
func TestShapeDiff(t *testing.T) {
	want := `{"name":"osd.0","up":true,"epoch":5,"at":"2026-01-02T03:04:05.678+0000","list":[{"a":1},{"a":2}],"none":[]}`
	for _, tc := range []struct {
		got  string
		diff []string
	}{
		{want, nil},
		{`{"name":"osd.7","up":true,"epoch":6,"at":"2027-01-02T03:04:05.6+0000","list":[{"a":1}],"none":[]}`, nil},
		{`{"name":"mon.0","up":false,"epoch":5,"at":"2026-01-02T03:04:05.678+0000","list":[{"a":1}],"none":[]}`,
			[]string{`$.name: is "mon.0", in Ceph "osd.0"`, `$.up: is "false", in Ceph "true"`}},
		{`{"name":"osd.0","up":true,"epoch":"5","at":"2026-01-02T03:04:05.678+0000","list":[{"a":1},{"a":2,"b":1}],"none":[]}`,
			[]string{`$.epoch: is a string, in Ceph a number`, `$.list[].b: is not in Ceph`}},
		{`{"up":true,"epoch":5,"name":"osd.0","at":"2026-01-02T03:04:05.678+0000","list":[],"none":[]}`,
			[]string{`$.list: has 0 items, in Ceph 2`, `$: the order is up epoch name at list none, in Ceph name up epoch at list none`}},
		{`{"name":"osd.0","up":true,"epoch":5,"at":"2026-01-02T03:04:05.678+0000","none":[]}`, []string{`$.list: is missing`}},
	} {
		if got := shapeDiff("$", mustParse(t, tc.got), mustParse(t, want)); !slices.Equal(got, tc.diff) {
			t.Errorf("%s:\n%q, want\n%q", tc.got, got, tc.diff)
		}
	}
}

// Texts are compared by lines, without regard to amounts and widths of columns.
func TestLineDiff(t *testing.T) {
	want := "NAME   USED\ndata  3 KiB\n"
	for _, tc := range []struct {
		got  string
		diff []string
	}{
		{want, nil},
		{"NAME  USED\ndata  12.5 MiB\n", nil},
		{"NAME  USED\nmore  3 KiB\n", []string{"+more SIZE", "-data SIZE"}},
		{"data  3 KiB\nNAME  USED\n", []string{`the same lines in another order or number: ["data SIZE" "NAME USED" ""], in Ceph ["NAME USED" "data SIZE" ""]`}},
	} {
		if got := lineDiff(tc.got, want); !slices.Equal(got, tc.diff) {
			t.Errorf("%q: %q, want %q", tc.got, got, tc.diff)
		}
	}
}

// An explanation covers its own command and difference only.
func TestExplained(t *testing.T) {
	for _, tc := range []struct {
		cmd, diff string
		want      bool
	}{
		{"pg dump -f json", "$.pg_map.osd_stats[].network_ping_times: has 0 items, in Ceph 2", true},
		{"osd dump -f json", "$.osds[].network_ping_times: is missing", false},
		{"pg dump -f json", "$.pg_map.osd_stats: is missing", false},
	} {
		if got := explained(tc.cmd, tc.diff); got != tc.want {
			t.Errorf("%s: %s: %v", tc.cmd, tc.diff, got)
		}
	}
}
