// Package badinput tests what no well-behaved party does: garbage on every port,
// messages that cannot be read, and daemons started on what they cannot use.
//
// A daemon must close the connection with one line in its log, hold no memory or
// goroutine for it, and go on serving everybody else; a daemon that cannot start
// must say in a sentence what to do and exit with a status other than 0.
package badinput
