package filestore

import (
	"hash/maphash"
	"math/bits"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/object"
)

// presence answers for a collection, without the key-value store, that there is no such
// object: most lookups before a new object is made are for one that is not there, and
// the key-value store looks through all of its levels for those. It is a Bloom filter
// of the objects that may be there: every one that the index had when it was made,
// and all that came since. What was removed stays in it, at the price of a lookup in
// vain, until it is made anew. It takes about two bytes of memory for each object.
type presence struct {
	blocks [][8]uint64
	room   int // how many more objects it takes before it is made anew
}

const (
	presenceBits  = 12 // of the filter for each object there is room for: about one wrong answer in a hundred
	presenceKeys  = 6  // bits that stand for an object, all within one block
	presenceLeast = 1024
	// presenceWorth is how many lookups in vain make it worth while to go through the
	// collection's index.
	presenceWorth = 32
)

var presenceSeed = maphash.MakeSeed()

// presenceOf returns the hash by which an object is known to filters.
func presenceOf(o object.GID) uint64 {
	h := maphash.String(presenceSeed, o.Name)
	h = mix(h, uint64(o.Hash)|uint64(uint8(o.Shard))<<32)
	return mix(h, uint64(o.Snap)^bits.RotateLeft64(o.Gen, 32)^uint64(o.Pool)<<16)
}

func mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^v, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

// newPresence returns a filter of the given objects, with room for as many more.
func newPresence(hashes []uint64) *presence {
	room := max(2*len(hashes), presenceLeast)
	p := &presence{blocks: make([][8]uint64, room*presenceBits/512+1), room: room}
	for _, h := range hashes {
		p.add(h)
	}
	return p
}

func (p *presence) block(h uint64) *[8]uint64 {
	i, _ := bits.Mul64(h, uint64(len(p.blocks)))
	return &p.blocks[i]
}

func (p *presence) add(h uint64) {
	b, x := p.block(h), mix(h, 1)
	for range presenceKeys {
		b[x>>6&7] |= 1 << (x & 63)
		x >>= 9
	}
	p.room--
}

// mayHave reports false for an object that is not there.
func (p *presence) mayHave(h uint64) bool {
	b, x := p.block(h), mix(h, 1)
	for range presenceKeys {
		if b[x>>6&7]&(1<<(x&63)) == 0 {
			return false
		}
		x >>= 9
	}
	return true
}

// presenceScan is a walk over a collection's index that will make its filter.
type presenceScan struct{ came []uint64 }

// absent reports whether the object is known not to be in the collection, which is
// locked.
func (c *collection) absent(gid object.GID) bool {
	return c.known != nil && !c.known.mayHave(presenceOf(gid))
}

// came notes that an object is there from now on. The collection is locked.
func (c *collection) came(gid object.GID) {
	if c.known == nil && c.scan == nil {
		return
	}
	h := presenceOf(gid)
	if c.known != nil {
		c.known.add(h)
	}
	if c.scan != nil {
		c.scan.came = append(c.scan.came, h)
	}
}

// lookedInVain notes that the key-value store was asked for an object that is not there,
// and has the collection's filter made when that happens too often. The collection is
// locked, so that its entries in the key-value store and those on their way, together,
// are all there are.
func (s *Store) lookedInVain(c *collection) {
	c.inVain++
	if c.scan != nil || c.inVain < presenceWorth || c.known != nil && c.known.room > 0 {
		return
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: objectKey(c.id, object.GMin), UpperBound: objectKey(c.id, object.GMax)})
	if err != nil {
		return // the next one will find out
	}
	c.inVain = 0
	c.scan = &presenceScan{}
	c.index.Ascend(func(e *indexEntry) bool {
		if e.exists {
			c.scan.came = append(c.scan.came, presenceOf(e.gid))
		}
		return true
	})
	s.loops.Add(1)
	go s.makePresence(c, it)
}

// makePresence makes a collection's filter.
func (s *Store) makePresence(c *collection, it *pebble.Iterator) {
	defer s.loops.Done()
	var hashes []uint64
	good := true
	for it.First(); good && it.Valid(); it.Next() {
		gid, err := decodeGID(it.Key()[1+collLen:])
		good = err == nil
		hashes = append(hashes, presenceOf(gid))
		if len(hashes)%1024 == 0 {
			select {
			case <-s.stop:
				good = false
			case <-s.failed:
				good = false
			default:
			}
		}
	}
	if it.Error() != nil || it.Close() != nil {
		good = false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if good {
		c.known = newPresence(append(hashes, c.scan.came...))
	}
	c.scan = nil
}
