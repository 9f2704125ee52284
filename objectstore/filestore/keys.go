package filestore

import (
	"encoding/binary"
	"errors"
	"strings"

	"sepiola/object"
	"sepiola/objectstore"
)

// The first byte of a key says what it is about.
//
//	C coll            a collection: its bits
//	O coll gid        an object: see onode
//	K fid chunk       checksums of chunkBlocks blocks of a file
//	X fid name        an attribute that the file system refused
//	D nid             the data of an object without a file
//	M nid key         a pair of an omap
//	H nid             the header of an omap
//	S name            figures of the store itself
const (
	keyColl   = 'C'
	keyObject = 'O'
	keySums   = 'K'
	keySpill  = 'X'
	keyData   = 'D'
	keyOmap   = 'M'
	keyHeader = 'H'
	keyStore  = 'S'
)

var (
	keyNextID = []byte{keyStore, 'i', 'd'}
	keyStored = []byte{keyStore, 's', 't', 'o', 'r', 'e', 'd'}
)

// collLen is the length of an encoded collection.
const collLen = 1 + 8 + 4 + 1

func appendColl(p []byte, c objectstore.Coll) []byte {
	p = append(p, byte(c.Kind))
	p = binary.BigEndian.AppendUint64(p, uint64(c.PG.Pool)^1<<63)
	p = binary.BigEndian.AppendUint32(p, c.PG.Seed)
	return append(p, byte(c.PG.Shard)^0x80)
}

func decodeColl(p []byte) objectstore.Coll {
	return objectstore.Coll{Kind: objectstore.CollKind(p[0]), PG: object.SPGID{
		PGID: object.PGID{
			Pool: int64(binary.BigEndian.Uint64(p[1:]) ^ 1<<63),
			Seed: binary.BigEndian.Uint32(p[9:]),
		},
		Shard: int8(p[13] ^ 0x80),
	}}
}

func collKey(c objectstore.Coll) []byte { return appendColl([]byte{keyColl}, c) }

// objectKey returns the key of an object's index entry. Keys sort as
// object.GID.Compare does.
func objectKey(c objectstore.Coll, o object.GID) []byte {
	p := make([]byte, 0, 1+collLen+48+len(o.Namespace)+2*len(o.Name)+len(o.Key))
	p = append(p, keyObject)
	return appendGID(appendColl(p, c), o)
}

// appendGID writes an id so that the bytes sort as the ids do. Where an id has no
// locator key its name stands in for it, which is what the order says too.
func appendGID(p []byte, o object.GID) []byte {
	p = append(p, flag(o.GMax), byte(o.Shard)^0x80, flag(o.Max))
	p = binary.BigEndian.AppendUint64(p, uint64(o.Pool)^1<<63)
	p = binary.BigEndian.AppendUint32(p, object.ReverseBits(o.Hash))
	p = appendOrdered(p, o.Namespace)
	if o.Key != "" {
		p = appendOrdered(p, o.Key)
	} else {
		p = appendOrdered(p, o.Name)
	}
	p = appendOrdered(p, o.Name)
	p = binary.BigEndian.AppendUint64(p, uint64(o.Snap))
	return binary.BigEndian.AppendUint64(p, o.Gen)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// appendOrdered appends s so that it ends itself and sorts before whatever it is a
// prefix of: a zero byte becomes 00 ff, the end is 00 01.
func appendOrdered(p []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			return append(append(p, s...), 0, 1)
		}
		p = append(append(p, s[:i]...), 0, 0xff)
		s = s[i+1:]
	}
}

var errBadKey = errors.New("malformed key in the object index")

func takeOrdered(p []byte) (string, []byte, error) {
	var b []byte
	for i := 0; i+1 < len(p); i++ {
		if p[i] != 0 {
			continue
		}
		b = append(b, p[:i]...)
		if p[i+1] == 1 {
			return string(b), p[i+2:], nil
		}
		if p[i+1] != 0xff {
			break
		}
		b = append(b, 0)
		p = p[i+2:]
		i = -1
	}
	return "", nil, errBadKey
}

// decodeGID reads what appendGID wrote.
func decodeGID(p []byte) (object.GID, error) {
	if len(p) < 3+8+4 {
		return object.GID{}, errBadKey
	}
	o := object.GID{GMax: p[0] != 0, Shard: int8(p[1] ^ 0x80)}
	o.Max = p[2] != 0
	o.Pool = int64(binary.BigEndian.Uint64(p[3:]) ^ 1<<63)
	o.Hash = object.ReverseBits(binary.BigEndian.Uint32(p[11:]))
	p = p[15:]
	var err error
	for _, s := range []*string{&o.Namespace, &o.Key, &o.Name} {
		if *s, p, err = takeOrdered(p); err != nil {
			return object.GID{}, err
		}
	}
	if len(p) != 16 {
		return object.GID{}, errBadKey
	}
	if o.Key == o.Name {
		o.Key = ""
	}
	o.Snap = object.SnapID(binary.BigEndian.Uint64(p))
	o.Gen = binary.BigEndian.Uint64(p[8:])
	return o, nil
}

func sumsKey(fid uint64, chunk uint32) []byte {
	p := make([]byte, 1, 13)
	p[0] = keySums
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(p, fid), chunk)
}

// numbered returns the key kind+id+rest.
func numbered(kind byte, id uint64, rest string) []byte {
	p := make([]byte, 1, 9+len(rest))
	p[0] = kind
	return append(binary.BigEndian.AppendUint64(p, id), rest...)
}
