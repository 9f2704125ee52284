package filestore

import "sync"

// smallCache keeps the data of small objects that was read of late, so that reading it again
// does not go through the key-value store. What is written is not kept: two of three
// copies are never read, and its memory is a part of some message's. An object's number is
// never used again, so what stays of an object that is gone is never found.
type smallCache struct {
	mu    sync.Mutex
	max   int // bytes
	bytes int
	data  map[uint64]keptData
	ring  []place // in the order of their coming, oldest at head; some stand for what is gone
	head  int
	last  uint64 // number of the last place
}

type keptData struct {
	p     []byte
	place uint64
}

type place struct{ nid, place uint64 }

// put keeps data, which nobody changes any more, in place of what is there.
func (c *smallCache) put(nid uint64, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(nid)
	if len(p) == 0 || cap(p) > c.max {
		return
	}
	if c.data == nil {
		c.data = map[uint64]keptData{}
	}
	c.last++
	c.data[nid] = keptData{p, c.last}
	c.bytes += cap(p)
	c.ring = append(c.ring, place{nid, c.last})
	for c.bytes > c.max || len(c.ring)-c.head > 2*len(c.data)+64 {
		if old := c.ring[c.head]; c.data[old.nid].place == old.place {
			c.remove(old.nid)
		}
		if c.head++; 2*c.head > len(c.ring) {
			c.ring, c.head = append(c.ring[:0], c.ring[c.head:]...), 0
		}
	}
}

// drop forgets the data of an object that changes.
func (c *smallCache) drop(nid uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(nid)
}

func (c *smallCache) remove(nid uint64) {
	if d, ok := c.data[nid]; ok {
		c.bytes -= cap(d.p)
		delete(c.data, nid)
	}
}

// get returns the data, nil where it is not known.
func (c *smallCache) get(nid uint64) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data[nid].p
}
