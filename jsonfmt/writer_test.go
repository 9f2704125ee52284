package jsonfmt

import (
	"testing"
	"time"
)

func write(pretty bool) string {
	w := New(pretty)
	w.OpenObject("ignored")
	w.Int("int", -1)
	w.Uint("uint", 1<<63)
	w.Float("float", 0.85)
	w.Bool("bool", true)
	w.String("string", "a\"b\\c\td\ne\x01\x7fé")
	w.OpenArray("empty")
	w.Close()
	w.OpenObject("none")
	w.Close()
	w.OpenArray("list")
	w.Int("ignored", 1)
	w.OpenObject("ignored")
	w.String("k", "v")
	w.Close()
	w.Close()
	w.Close()
	return w.Text()
}

// Both forms are what Ceph's JSONFormatter prints, to the byte.
func TestForms(t *testing.T) {
	const compact = `{"int":-1,"uint":9223372036854775808,"float":0.84999999999999998,"bool":true,` +
		`"string":"a\"b\\c\td\ne\u0001\u007fé","empty":[],"none":{},"list":[1,{"k":"v"}]}`
	if got := write(false); got != compact {
		t.Errorf("compact:\n%s\nwant\n%s", got, compact)
	}
	const pretty = `{
    "int": -1,
    "uint": 9223372036854775808,
    "float": 0.84999999999999998,
    "bool": true,
    "string": "a\"b\\c\td\ne\u0001\u007fé",
    "empty": [],
    "none": {},
    "list": [
        1,
        {
            "k": "v"
        }
    ]
}
`
	if got := write(true); got != pretty {
		t.Errorf("pretty:\n%s\nwant\n%s", got, pretty)
	}
}

// Floats have the digits a C++ stream gives them.
func TestFloat(t *testing.T) {
	for _, c := range []struct {
		v         float64
		precision int
		want      string
	}{
		{0, 17, "0"}, {1, 17, "1"}, {0.5, 17, "0.5"}, {100000, 17, "100000"}, {1e10, 17, "10000000000"},
		{1e16, 17, "10000000000000000"}, {1e17, 17, "1e+17"}, {0.0001, 17, "0.0001"}, {0.00001, 6, "1e-05"},
		{123456789, 6, "1.23457e+08"}, {999999.5, 6, "1e+06"}, {0.85, 6, "0.85"},
		{float64(float32(0.9)), 17, "0.89999997615814209"}, {-2.5, 17, "-2.5"},
	} {
		if got := Float(c.v, c.precision); got != c.want {
			t.Errorf("Float(%v, %d) = %s, want %s", c.v, c.precision, got, c.want)
		}
	}
}

// Times look like a utime_t's, and a blank one is not a date.
func TestStamp(t *testing.T) {
	at := time.Unix(1795247352, 345678901)
	if got := Stamp(at); got != "2026-11-21T07:49:12.345678+0000" {
		t.Error(got)
	}
	if got := StampZ(at); got != "2026-11-21T07:49:12.345678Z" {
		t.Error(got)
	}
	if got := Stamp(time.Time{}) + Stamp(time.Unix(5, 1000)); got != "0.0000005.000001" {
		t.Error(got)
	}
}

// Ages are cut to one unit that still tells something.
func TestTimespan(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "1.5s", 2 * time.Second: "2s", 119 * time.Second: "119s",
		120 * time.Second: "2m", 119 * time.Minute: "119m", 2 * time.Hour: "2h", 47 * time.Hour: "47h",
		2 * day: "2d", 13 * day: "13d", 14 * day: "2w", 83 * day: "11w", 84 * day: "2M", 719 * day: "23M", 730 * day: "2y",
	} {
		if got := Timespan(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// A monitor's answer loses empty lines and gains a last line break.
func TestLines(t *testing.T) {
	if got := Lines("a\n\nb\n\n\nc"); got != "a\nb\nc\n" {
		t.Errorf("%q", got)
	}
	if got := Lines(""); got != "" {
		t.Errorf("%q", got)
	}
}
