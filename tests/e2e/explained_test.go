package e2e

import "regexp"

// differences are those from Ceph that stay, with the reason. cmd and diff are
// patterns of the command and of a line that tells a difference.
var differences = []struct{ cmd, diff, why string }{
	{"", `ceph version`, "the version's text names Sepiola's build"},
}

func explained(cmd, diff string) bool {
	for _, d := range differences {
		if regexp.MustCompile(d.cmd).MatchString(cmd) && regexp.MustCompile(d.diff).MatchString(diff) {
			return true
		}
	}
	return false
}
