// Package entity names the parties of a cluster and where they listen: entity
// names (osd.3), network addresses with their nonce, address vectors, and
// UUIDs. The formats are those of src/msg/msg_types.{h,cc} and
// src/include/uuid.h in Ceph 16.
package entity
