package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/internal/reftool"
)

const golden = "../../testdata/golden/crush/"

func output(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(args, &out, io.Discard); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out.String()
}

// TestMatchesReference protects the output that scripts read: every line is the
// one the reference's program prints.
func TestMatchesReference(t *testing.T) {
	tool := reftool.Need(t, "crushtool")
	for _, file := range []string{"map00.bin", "map03.bin", "map07.bin", "map12.bin"} {
		for _, words := range []string{
			"--show-mappings --rule 0 --num-rep 3 --min-x 0 --max-x 300 --weight 1 0.3",
			"--show-mappings --show-bad-mappings --min_rule 0 --max_rule 1 --max-x 5 --min-x 2",
			"--show-bad-mappings --show-statistics",
			"--show-utilization --num-rep 4 --min_x 3 --max_x 99",
			"--show-utilization-all --rule 1 --pool-id 4 --weight 2 0",
			"--show-mappings --show-statistics --rule 77",
			"--show-mappings --ruleset 1 --x 12345",
		} {
			args := append([]string{"-i", golden + file, "--test"}, strings.Fields(words)...)
			want, err := exec.Command(tool, args...).Output()
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			if got := output(t, args...); got != string(want) {
				t.Errorf("%v: output differs from the reference's", args)
			}
		}
	}
}

// TestConverts protects the round trip of files through -c and -d.
func TestConverts(t *testing.T) {
	dir := t.TempDir()
	bin, txt := filepath.Join(dir, "bin"), filepath.Join(dir, "txt")
	output(t, "-c", golden+"map05.source", "-o", bin)
	output(t, "-d", bin, "-o", txt)
	for file, want := range map[string]string{bin: "map05.bin", txt: "map05.txt"} {
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		expected, err := os.ReadFile(golden + want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, expected) {
			t.Errorf("%s differs", want)
		}
	}
}

// TestRefuses protects the user from silence: a faulty file or option is an
// error that says which.
func TestRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("type 1 host\nhost a {\n id -1\n alg none\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"unable to decode":             {"-d", bad},
		"unable to decode " + bad:      {"-i", bad, "--test", "--show-mappings"},
		":2 error: unknown bucket alg": {"-c", bad},
		"no such file":                 {"-d", bad + "x"},
		"unrecognized option --bogus":  {"--bogus"},
		"requires 2 argument(s)":       {"--weight", "1"},
		"is not a number":              {"--min-x", "one"},
		"no action":                    {},
		"only one of":                  {"-c", bad, "-d", bad},
	} {
		err := run(args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want one with %q", args, err, want)
		}
	}
}
