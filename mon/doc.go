// Package mon is the monitor daemon: the keeper of the cluster's maps and
// configuration, to which every other party connects first.
//
// The parts:
//
//   - mon/store replicates commands and keeps state;
//   - mon/state is what the commands do: the monitor map, the OSD map, the
//     configuration database and the cluster log as one deterministic machine;
//   - mon/pgmap is the digest of the placement groups' statistics, which is
//     volatile: OSDs report it to whoever leads;
//   - this package holds sessions, subscriptions, the commands and the clock.
//
// The leading monitor also speaks the manager protocol (MMgrOpen, MMgrReport,
// MPGStats, MMgrCommand) on a second port and names itself the active manager
// in the manager map, so that there is no separate manager daemon.
//
// # Duties of the caller
//
//  1. [Mkfs] once per monitor, then [New], [Monitor.Start], and
//     [Monitor.Shutdown] at the end.
//  2. A monitor whose Config.Fatal is called has stopped; end the process.
//
// # Invariants
//
//   - State changes only in state.Machine.Apply, by committed log entries.
//   - Everything else (sessions, statistics, failure reports) lives under one
//     lock, [Monitor.mu], and can be lost at any time.
//
// # Departures from Ceph
//
// No forwarding between monitors, no cephx and no file-system or
// manager-module services yet; what they would serve is answered as unknown.
package mon
