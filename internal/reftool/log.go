package reftool

import "regexp"

// logLine is a line of a Ceph program's log: time, thread, level (0 and the negative
// ones are shown whatever the settings), text.
var logLine = regexp.MustCompile(`(?m)^[0-9]{4}-[0-9-]+T[0-9:.+]+ [0-9a-f]+ +-?[0-9]+ .*\n?`)

// WithoutLog returns what a Ceph program said on standard error without the lines of
// its log. A client that ends while one of its connections is being made logs that at
// times: it is chance, not an answer.
func WithoutLog(stderr string) string {
	return logLine.ReplaceAllString(stderr, "")
}
