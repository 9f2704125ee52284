package filestore

import (
	"encoding/binary"
	"fmt"

	"sepiola/objectstore"
)

// onode is what the index says about an object.
type onode struct {
	nid  uint64 // names the omap; never used twice
	fid  uint64 // names the file; never used twice; 0 while there is no file
	size uint64 // of the data in bytes

	home  objectstore.Coll // the collection under whose directory the file is
	depth uint8            // and how many levels of hash directories down

	omap  bool // there may be an omap
	short bool // the file's name is shortened
	hint  objectstore.AllocHint

	// attrSum is attrsSum of the object's attributes. Entries of stores of version 1 have
	// none, until an attribute changes.
	attrSum uint32
	summed  bool
}

const onodeVersion = 1

const (
	onodeOmap = 1 << iota
	onodeShort
	onodeAway // the home is another collection's directory
	onodeHint
	onodeAttrSum // since version 2 of the store

	onodeFlags = onodeAttrSum<<1 - 1 // all there are
)

// encode returns the index entry of an object of collection c.
func (n *onode) encode(c objectstore.Coll) []byte {
	var flags byte
	if n.omap {
		flags |= onodeOmap
	}
	if n.short {
		flags |= onodeShort
	}
	if n.fid != 0 && n.home != c {
		flags |= onodeAway
	}
	if n.hint != (objectstore.AllocHint{}) {
		flags |= onodeHint
	}
	if n.summed {
		flags |= onodeAttrSum
	}
	p := make([]byte, 0, 64)
	p = append(p, onodeVersion, flags, n.depth)
	p = binary.AppendUvarint(p, n.nid)
	p = binary.AppendUvarint(p, n.fid)
	p = binary.AppendUvarint(p, n.size)
	if flags&onodeAway != 0 {
		p = appendColl(p, n.home)
	}
	if flags&onodeHint != 0 {
		p = binary.AppendUvarint(p, n.hint.ObjectSize)
		p = binary.AppendUvarint(p, n.hint.WriteSize)
		p = binary.AppendUvarint(p, uint64(n.hint.Flags))
	}
	if n.summed {
		p = binary.BigEndian.AppendUint32(p, n.attrSum)
	}
	return p
}

func decodeOnode(p []byte, c objectstore.Coll) (onode, error) {
	bad := fmt.Errorf("malformed index entry %x: %w", p, objectstore.ErrIO)
	if len(p) < 3 || p[0] != onodeVersion || p[2] > maxDepth {
		return onode{}, bad
	}
	flags := p[1]
	if flags&^onodeFlags != 0 {
		return onode{}, bad
	}
	n := onode{depth: p[2], home: c, omap: flags&onodeOmap != 0, short: flags&onodeShort != 0}
	p = p[3:]
	ok := true
	num := func() uint64 {
		v, k := binary.Uvarint(p)
		if k <= 0 {
			ok = false
			return 0
		}
		p = p[k:]
		return v
	}
	n.nid, n.fid, n.size = num(), num(), num()
	if flags&onodeAway != 0 {
		if len(p) < collLen {
			return onode{}, bad
		}
		n.home = decodeColl(p)
		p = p[collLen:]
	}
	if flags&onodeHint != 0 {
		n.hint = objectstore.AllocHint{ObjectSize: num(), WriteSize: num(), Flags: uint32(num())}
	}
	if flags&onodeAttrSum != 0 && len(p) >= 4 {
		n.summed, n.attrSum = true, binary.BigEndian.Uint32(p)
		p = p[4:]
	}
	if !ok || len(p) != 0 || n.summed != (flags&onodeAttrSum != 0) {
		return onode{}, bad
	}
	return n, nil
}
