// Package rados is a client of the cluster: it finds the OSD that leads an
// object's placement group, sends operations there, and sends them again when
// the map changes or a session breaks (the role of librados and its Objecter).
//
// It follows doc/rados/api/librados-intro.rst and src/osdc/Objecter.cc of Ceph 16 in
// behaviour. Operations on one object through one [Client] are applied in the
// order in which they were started; each is applied once, however often it is
// sent: OSDs know it by the client's number and its transaction id.
//
// # Errors
//
// What the cluster refuses comes back as an [Errno], which errors.Is compares with
// those of package syscall. Everything else is an error of the connection or
// the context.
package rados
