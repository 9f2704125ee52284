// Package storetest holds the tests every objectstore.Store passes: a conformance
// suite, one sub-test for each promise of the interface, and a metamorphic test
// that runs random transactions with restarts and crashes against a plain model.
//
// A store's own test package calls [Suite] and [Metamorphic] with a [Maker].
package storetest
