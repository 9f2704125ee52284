// Package memstore is a store in memory: for tests, for simulation, and for
// clusters whose data need not outlive the process.
//
// # Shape
//
// The whole content is one immutable value, a tree of collections of objects. A
// transaction is applied to a copy that shares all it does not change (copy-on-write
// B-trees at every level), and then that copy becomes the content. From this follows
// most of what a store must promise:
//
//   - A transaction that fails half-way changes nothing: its copy is dropped.
//   - A read, a listing or an omap iterator holds the content of its moment, and no
//     write disturbs it. Reads share memory with the store.
//   - "What is durable" is a second reference to an earlier content, so that a crash
//     is an assignment.
//
// Long writes are kept by reference to the memory they came in, short ones are
// copied so that they do not pin a large receive buffer.
//
// # Commits
//
// By default a transaction counts as durable at once, and its callback runs on the
// store's own goroutine, in order of submission. With [Options.Manual] nothing is
// durable until the caller says [Store.Commit], which runs the callbacks on the
// caller's goroutine, and [Store.Crash] goes back to what was durable: no goroutine, no
// clock, no randomness, as simulation needs it.
//
// Close and Mount keep the content; it lives as long as the Store value.
package memstore
