// Package rados is a client of the cluster: it finds the OSD that leads an
// object's placement group, sends operations there, and sends them again when
// the map changes or a session breaks (the role of librados and its Objecter).
//
// It follows doc/rados/api/librados-intro.rst, src/osdc/Objecter.cc and
// src/librados of Ceph 16 in behaviour.
//
// # Parts
//
//   - [Client], [Connect]: the connection, maps, commands; [Client.Do] and
//     [Client.Start] carry out a [Request], which is an operation as the wire has it.
//   - [IOCtx]: pool, namespace, locator and snapshot; objects by simple calls.
//   - [Op]: compound operations, for [IOCtx.Operate] and [IOCtx.Start].
//   - [IOCtx.List]: objects; [Client.Pools], [Client.PoolStats], [Client.Statfs]:
//     pools and space.
//
// # What holds
//
//  1. Operations on one object through one Client are applied in the order in which
//     they were started; each is applied once, however often it is sent: OSDs know
//     it by the client's number and its transaction id.
//  2. Operations and bytes in flight are bounded (objecter_inflight_ops and
//     objecter_inflight_op_bytes); who starts more waits, in order.
//  3. A call ends when its context does. Whether what it asked for is done then is
//     not known.
//
// # Duties of the caller
//
//  1. Leave bytes that are written alone until the call has returned, or the
//     pending operation is done; for good, if it was given up.
//  2. Not change maps that are handed out.
//
// # Errors
//
// What the cluster refuses comes back as an [Errno], which errors.Is compares with
// those of package syscall. Everything else is an error of the connection or
// the context.
//
// # Departures from Ceph
//
// OSD maps are subscribed to for good, instead of asked for when an operation needs
// one. Any change of a placement group's mapping sends its operations again, where
// the Objecter looks at the primary only; OSDs recognize what they have done.
package rados
