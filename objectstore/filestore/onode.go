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

	// attrSum is attrsSum of the attributes of an object with a file. Entries of stores of
	// version 1 have none, until an attribute changes.
	attrSum uint32
	summed  bool

	// small is how many bytes of data the key-value store has of an object without a file;
	// those that follow, up to size, are zeros.
	small uint32
}

const onodeVersion = 1

const (
	onodeOmap = 1 << iota
	onodeShort
	onodeAway // the home is another collection's directory
	onodeHint
	onodeAttrSum // since version 2 of the store
	onodeSmall   // there is data in the key-value store; since version 3
	onodeAttrs   // the attributes follow; since version 3

	onodeFlags = onodeAttrs<<1 - 1 // all there are
)

// encode returns the index entry of an object of collection c. attrs are the attributes
// of an object without a file.
func (n *onode) encode(c objectstore.Coll, attrs map[string][]byte) []byte {
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
	if n.fid != 0 {
		attrs = nil
	}
	if n.fid == 0 && n.small > 0 {
		flags |= onodeSmall
	}
	if len(attrs) > 0 {
		flags |= onodeAttrs
	}
	p := make([]byte, 0, 64+attrsLen(attrs)+4*len(attrs))
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
	if flags&onodeSmall != 0 {
		p = binary.AppendUvarint(p, uint64(n.small))
	}
	if flags&onodeAttrs != 0 {
		p = appendAttrs(p, attrs)
	}
	return p
}

// appendAttrs appends attributes in the order of their names: how many, then each name
// and value behind its length.
func appendAttrs(p []byte, attrs map[string][]byte) []byte {
	p = binary.AppendUvarint(p, uint64(len(attrs)))
	var room [8]string
	for _, name := range namesOf(attrs, room[:0]) {
		p = binary.AppendUvarint(p, uint64(len(name)))
		p = append(p, name...)
		p = binary.AppendUvarint(p, uint64(len(attrs[name])))
		p = append(p, attrs[name]...)
	}
	return p
}

// attrsLen returns the bytes of names and values.
func attrsLen(attrs map[string][]byte) int {
	n := 0
	for k, v := range attrs {
		n += len(k) + len(v)
	}
	return n
}

// takeAttrs reads what appendAttrs wrote, up to the end of p.
func takeAttrs(p []byte) (map[string][]byte, bool) {
	num := func(most int) (int, bool) {
		v, k := binary.Uvarint(p)
		if k <= 0 || v > uint64(most) {
			return 0, false
		}
		p = p[k:]
		return int(v), v <= uint64(len(p))
	}
	n, ok := num(len(p) / 2)
	if !ok || n == 0 {
		return nil, false
	}
	attrs, last := make(map[string][]byte, n), ""
	for i := range n {
		k, ok := num(len(p))
		if !ok {
			return nil, false
		}
		name := string(p[:k])
		p = p[k:]
		if k, ok = num(len(p)); !ok || i > 0 && name <= last {
			return nil, false
		}
		attrs[name] = append(make([]byte, 0, k), p[:k]...)
		p, last = p[k:], name
	}
	return attrs, len(p) == 0
}

// decodeOnode reads the index entry of an object of collection c, with the attributes of
// an object without a file.
func decodeOnode(p []byte, c objectstore.Coll) (onode, map[string][]byte, error) {
	bad := fmt.Errorf("malformed index entry %x: %w", p, objectstore.ErrIO)
	if len(p) < 3 || p[0] != onodeVersion || p[2] > maxDepth {
		return onode{}, nil, bad
	}
	flags := p[1]
	if flags&^onodeFlags != 0 {
		return onode{}, nil, bad
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
			return onode{}, nil, bad
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
	if flags&onodeSmall != 0 {
		small := num()
		ok = ok && small > 0 && small <= min(n.size, smallMost)
		n.small = uint32(small)
	}
	var attrs map[string][]byte
	if n.fid == 0 {
		attrs = map[string][]byte{}
	}
	if ok && flags&onodeAttrs != 0 {
		attrs, ok = takeAttrs(p)
		p = nil
	}
	if !ok || len(p) != 0 || n.summed != (flags&onodeAttrSum != 0) || n.fid != 0 && flags&(onodeSmall|onodeAttrs) != 0 {
		return onode{}, nil, bad
	}
	return n, attrs, nil
}
