package object

import (
	"cmp"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"sepiola/wire"
)

// PGID names a placement group (pg_t): a pool and the group's number in it.
type PGID struct {
	Pool int64
	Seed uint32
}

// String returns "pool.seed" with the seed in hexadecimal.
func (p PGID) String() string {
	return strconv.FormatInt(p.Pool, 10) + "." + strconv.FormatUint(uint64(p.Seed), 16)
}

// ParsePGID reads "pool.seed".
func ParsePGID(s string) (PGID, error) {
	pool, seed, ok := strings.Cut(s, ".")
	n, err1 := strconv.ParseInt(pool, 10, 64)
	h, err2 := strconv.ParseUint(seed, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return PGID{}, fmt.Errorf("%q is not a PG id of the form pool.hex", s)
	}
	return PGID{n, uint32(h)}, nil
}

// Compare orders PG ids by pool, then seed.
func (p PGID) Compare(q PGID) int {
	return cmp.Or(cmp.Compare(p.Pool, q.Pool), cmp.Compare(p.Seed, q.Seed))
}

// Encode appends pg_t: a version byte, pool, seed, and a relic of -1.
func (p PGID) Encode(e *wire.Encoder) {
	e.U8(1)
	e.I64(p.Pool)
	e.U32(p.Seed)
	e.I32(-1) // once the preferred OSD
}

// DecodePGID reads what [PGID.Encode] wrote.
func DecodePGID(d *wire.Decoder) PGID {
	if v := d.U8(); d.Err() == nil && v != 1 {
		d.Fail("pg id of version %d", v)
	}
	p := PGID{Pool: d.I64(), Seed: d.U32()}
	d.Skip(4)
	return p
}

// StableMod maps a hash onto n buckets so that growing n moves only what must
// move (ceph_stable_mod). mask is the least 2^k-1 that is at least n-1.
func StableMod(x, n, mask uint32) uint32 {
	if x&mask < n {
		return x & mask
	}
	return x & (mask >> 1)
}

// MaskFor returns the mask that goes with n buckets in [StableMod].
func MaskFor(n uint32) uint32 {
	if n <= 1 {
		return 0
	}
	return 1<<bits.Len32(n-1) - 1
}

// Contains reports whether the object of that hash belongs to the PG when its
// pool has pgNum PGs.
func (p PGID) Contains(hash, pgNum uint32) bool {
	return StableMod(hash, pgNum, MaskFor(pgNum)) == p.Seed
}

// SplitBits returns how many low bits of the hash are the same in all objects of
// a PG (pg_t::get_split_bits).
func (p PGID) SplitBits(pgNum uint32) uint {
	if pgNum <= 1 {
		return 0
	}
	n := uint(bits.Len32(pgNum))
	full := uint32(1) << (n - 1)
	if p.Seed&(full-1) < pgNum&(full-1) {
		return n // this PG has split already, or is the half that came of it
	}
	return n - 1
}

// SPGID names a PG's shard (spg_t): the PG and, for erasure-coded pools, which
// shard of it.
type SPGID struct {
	PGID
	Shard int8
}

// Whole returns the id of a replicated pool's PG.
func (p PGID) Whole() SPGID { return SPGID{p, NoShard} }

// String returns "pool.seed", followed by "s" and the shard if there is one.
func (s SPGID) String() string {
	if s.Shard == NoShard {
		return s.PGID.String()
	}
	return s.PGID.String() + "s" + strconv.Itoa(int(s.Shard))
}

// ParseSPGID reads what [SPGID.String] wrote.
func ParseSPGID(s string) (SPGID, error) {
	id, shard, ok := strings.Cut(s, "s")
	p, err := ParsePGID(id)
	if err != nil || !ok {
		return p.Whole(), err
	}
	n, err := strconv.ParseInt(shard, 10, 8)
	if err != nil {
		return SPGID{}, fmt.Errorf("%q is not a PG shard id", s)
	}
	return SPGID{p, int8(n)}, nil
}

// Encode appends spg_t, version 1.
func (s SPGID) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	s.PGID.Encode(e)
	e.I8(s.Shard)
	e.End(m)
}

// DecodeSPGID reads what [SPGID.Encode] wrote.
func DecodeSPGID(d *wire.Decoder) SPGID {
	sc := d.Begin(1)
	s := SPGID{DecodePGID(d), d.I8()}
	d.End(sc)
	return s
}

// MetaObject returns the id of the object that holds the PG's own metadata.
func (s SPGID) MetaObject() GID {
	return GID{ID: ID{Pool: s.Pool, Hash: s.Seed, Snap: 0}, Gen: NoGen, Shard: s.Shard}
}
