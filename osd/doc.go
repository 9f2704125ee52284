// Package osd is the OSD daemon: it boots into the cluster, follows the OSD map,
// keeps the table of placement groups, and carries messages, maps and commits
// to them and their effects to the network and the store.
//
// It decides nothing about data; package pg does. The parts:
//
//   - maps.go keeps OSD maps and the superblock in the store's meta collection;
//   - shard.go and queue.go are the event workers: PGs hash onto a fixed number
//     of shards, each one goroutine with a fair, bounded queue;
//   - drive.go carries out the effects of a PG;
//   - boot.go, newmap.go, heartbeat.go, report.go are the conversations with
//     monitors, peers and the manager; watch.go judges, without a clock or a socket,
//     what the heartbeats say;
//   - dispatch.go and session.go are the receiving ends of the messengers.
//
// # Messengers
//
// As in Ceph there is one for clients (and for our own sessions with monitors and
// the manager), one for the other OSDs, and for heartbeats two that answer, on
// the public and the cluster network, and one that asks: heartbeats never queue
// behind data.
//
// # Goroutines and locks
//
// A PG is touched by its shard's goroutine only. [Daemon.mapMu] serializes the
// arrival of maps; the current map is an atomic pointer. Nothing blocks a shard
// but the store: its back-pressure in Submit, and reads.
//
// # Bounds
//
// What clients have under way is bounded by osd_client_message_cap and _size_cap: an
// operation keeps its share until it is answered or given up, whatever number it
// has. What other OSDs send ahead of the map is kept with the shard, within a bound
// that Ceph does not have. Who does not read answers is not listened to. Sessions of
// those who call themselves OSDs and are in no map end with their socket.
package osd
