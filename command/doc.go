// Package command is the form in which Ceph's clients send commands to daemons:
// a JSON object with a "prefix" and named arguments, described to the client
// beforehand by signatures.
//
// Signatures are written as in src/mon/MonCommands.h of Ceph 16 ("osd pool get
// name=pool,type=CephPoolname name=var,type=CephString"); [Descriptions]
// turns them into the JSON that get_command_descriptions answers, which
// src/pybind/ceph_argparse.py reads. Monitors, the manager protocol, OSDs
// (ceph tell) and admin sockets share it.
package command
