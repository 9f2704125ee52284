// Package object names RADOS objects: the object id with its snapshot and
// namespace (hobject_t), the same with shard and generation (ghobject_t), the
// hashes that place them, and the bitwise-reversed hash order in which
// placement groups list, split and backfill them.
//
// Formats and order are those of src/common/hobject.{h,cc} and
// src/common/ceph_hash.cc in Ceph 16. [ID] and [GID] are comparable values:
// they can be map keys.
package object
