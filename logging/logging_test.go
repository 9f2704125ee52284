package logging

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/config"
)

// Each subsystem writes at the level of its "debug" option, as it is at the moment.
func TestLevels(t *testing.T) {
	var out bytes.Buffer
	conf := config.New("osd", "0")
	log := To(&out, conf)
	osd, ms := log.Get("osd"), log.Get("ms")
	if log.Get("osd") != osd {
		t.Error("a subsystem has two loggers")
	}
	say := func(want ...string) {
		t.Helper()
		out.Reset()
		osd.Trace("osd-trace")
		osd.Debug("osd-debug")
		osd.Info("osd-info")
		ms.Debug("ms-debug")
		ms.Warn("ms-warn")
		var got []string
		for line := range strings.Lines(out.String()) {
			_, text, _ := strings.Cut(line, "] ")
			got = append(got, strings.TrimSpace(text))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	set := func(value string) {
		t.Helper()
		if err := conf.Set(config.FromOverride, "debug_osd", value); err != nil {
			t.Fatal(err)
		}
	}
	say("osd: osd-info", "ms: ms-warn")
	set("10")
	say("osd: osd-debug", "osd: osd-info", "ms: ms-warn")
	set("20/20")
	say("osd: osd-trace", "osd: osd-debug", "osd: osd-info", "ms: ms-warn")
	conf.Unset(config.FromOverride, "debug_osd")
	say("osd: osd-info", "ms: ms-warn")
}

// The log goes on in a new file after the old one was moved away.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	conf := config.New("osd", "0")
	if err := conf.Set(config.FromCmdline, "log_file", path); err != nil {
		t.Fatal(err)
	}
	log, err := Open(conf, false)
	if err != nil {
		t.Fatal(err)
	}
	log.Get("osd").Info("first")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	log.Get("osd").Info("second")
	if err := log.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Get("osd").Info("third")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log.Get("osd").Info("after the end")
	for file, want := range map[string][]string{path + ".1": {"first", "second"}, path: {"third"}} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte{'\n'}); n != len(want) {
			t.Errorf("%s has %d lines", file, n)
		}
		for _, w := range want {
			if !bytes.Contains(b, []byte(w)) {
				t.Errorf("%s lacks %q", file, w)
			}
		}
	}
	if err := conf.Set(config.FromCmdline, "log_file", filepath.Join(dir, "no", "such", "directory")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(conf, false); err == nil || !strings.Contains(err.Error(), `option "log file"`) {
		t.Errorf("a log that cannot be opened: %v", err)
	}
}
