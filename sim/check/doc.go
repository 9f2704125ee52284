// Package check judges a simulated cluster from outside: by what its clients
// asked and were told, and by what is in its stores. It knows nothing of the
// simulation, of peering or of messages, and it has its own idea of what an
// operation does to an object.
//
//   - [Appends] reads objects that are only ever appended to, word by word: no
//     acknowledged word is lost, none is there twice or before an earlier one of the
//     same client, no read saw what is not there in the end.
//   - [Linear] looks for an order of all operations on an object that explains
//     every result, output and version, respects who answered before whom was asked,
//     and keeps each client's own order.
//   - [Resends] compares the answers to one operation that was sent again.
//   - [Copies] compares the copies of a clean PG, and each with its statistics.
//
// Every checker returns nil or an error that says in one line what is wrong.
package check
