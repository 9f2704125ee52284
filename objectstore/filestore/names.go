package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strconv"
	"strings"

	"sepiola/object"
	"sepiola/objectstore"
)

// File names have at most nameMax bytes (NAME_MAX of Linux' file systems).
const nameMax = 255

// Directories below a collection's stand for the nibbles of an object's hash, least
// significant first, as in Ceph's FileStore (HashIndex): DIR_7/DIR_3 holds hashes
// that end in 37. maxDepth is all nibbles.
const maxDepth = 8

// fileName returns the name of an object's file in its directory:
//
//	NAME_KEY_SNAP_HASH_NAMESPACE_POOL[_GEN_SHARD].FID
//
// The parts are those of Ceph's file names (LFNIndex); the number in the end makes it
// one of its own for each file there ever was. It reports whether the name had to be
// shortened, which loses part of the object's name.
func fileName(o object.GID, fid uint64) (name string, short bool) {
	var b strings.Builder
	escapeTo(&b, o.Name, "")
	long := b.String()
	b.Reset()
	b.WriteByte('_')
	escapeTo(&b, o.Key, "_")
	b.WriteByte('_')
	b.WriteString(o.Snap.String())
	b.WriteByte('_')
	h := strings.ToUpper(strconv.FormatUint(uint64(o.Hash), 16))
	b.WriteString("00000000"[len(h):] + h)
	b.WriteByte('_')
	escapeTo(&b, o.Namespace, "_")
	b.WriteByte('_')
	b.WriteString(strconv.FormatInt(o.Pool, 16))
	if o.Gen != object.NoGen || o.Shard != object.NoShard {
		b.WriteString("_" + strconv.FormatUint(o.Gen, 16) + "_" + strconv.FormatInt(int64(o.Shard), 16))
	}
	rest := b.String()
	tail := "." + strconv.FormatUint(fid, 16)
	if len(long)+len(rest)+len(tail) <= nameMax {
		return long + rest + tail, false
	}
	sum := sha256.Sum256([]byte(long + rest))
	return long[:min(len(long), 150)] + "~" + hex.EncodeToString(sum[:16]) + "_long" + tail, true
}

// escapeTo writes s with everything that is awkward in a file name as %xx.
func escapeTo(b *strings.Builder, s, also string) {
	const digits = "0123456789abcdef"
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '/' || c == '%' || c == '\\' || i == 0 && c == '.' || strings.IndexByte(also, c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
			continue
		}
		b.WriteByte(c)
	}
}

// collDir returns the directory of a collection, below the store's.
func collDir(c objectstore.Coll) string { return "current/" + c.String() }

// hashDir returns the directory, depth levels down, for objects of a hash.
func hashDir(c objectstore.Coll, hash uint32, depth uint8) string {
	var b strings.Builder
	b.WriteString(collDir(c))
	for range depth {
		b.WriteString("/DIR_")
		b.WriteByte("0123456789ABCDEF"[hash&15])
		hash >>= 4
	}
	return b.String()
}

// freshDir holds files whose transaction is not known to be durable.
const freshDir = "fresh"

func freshPath(fid uint64) string { return filepath.Join(freshDir, strconv.FormatUint(fid, 16)) }
