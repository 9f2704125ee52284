// Package msgr is Ceph's messenger v2.1: sessions over which two entities
// exchange messages.
//
// It knows frames, authentication exchanges, session life cycles and flow
// control; it knows no message's content. The document followed is
// doc/dev/msgr2.rst of Ceph 16, with src/msg/async/ProtocolV2.cc and frames_v2.h
// where the document is silent.
package msgr
