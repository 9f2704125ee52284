// Package monclient keeps a session with one of the monitors: it finds one that
// answers, subscribes to maps, carries commands and their answers, and moves
// on to another monitor when the session breaks.
//
// It follows the behaviour of src/mon/MonClient.cc in Ceph 16. Authentication is
// the messenger's; a session that is established is authenticated.
//
// # Duties of the caller
//
//  1. Own the messenger, and give it a dispatcher that calls [Client.Dispatch] for
//     messages from monitors, and [Client.Connected], [Client.Reset] for what
//     happens on their connections.
//  2. Say with [Client.Got] which version of a map has arrived, so that a new
//     session asks for what follows.
//  3. Send again what must not be lost, when the session callback says that a new
//     session is there: messages on the way to a monitor that died are gone.
package monclient
