package mon

import (
	"sepiola/mon/state"
	"sepiola/mon/store"
)

// mapCache keeps the encodings of recent epochs, which every subscriber asks
// for at about the same time. It is guarded by the monitor's lock.
type mapCache struct {
	disk  *store.Disk
	items map[string][]byte
	// unwritten are the changes that the state has and the disk may not have yet.
	unwritten map[string][]byte
}

// maxCachedMaps bounds the cache: full maps and increments together.
const maxCachedMaps = 256

func (c *mapCache) get(key string) ([]byte, error) {
	if p, ok := c.unwritten[key]; ok {
		return p, nil
	}
	if p, ok := c.items[key]; ok {
		return p, nil
	}
	p, err := c.disk.Get(key)
	if err != nil || p == nil {
		return nil, err
	}
	if c.items == nil || len(c.items) >= maxCachedMaps {
		c.items = map[string][]byte{}
	}
	c.items[key] = p
	return p, nil
}

// ahead takes what the state has changed, before it is on the disk.
func (c *mapCache) ahead(changes []store.Change) {
	c.unwritten = make(map[string][]byte, len(changes))
	for _, ch := range changes {
		c.unwritten[ch.Key] = ch.Value
		delete(c.items, ch.Key)
	}
}

// written says that the disk has all that the state has.
func (c *mapCache) written() { c.unwritten = nil }

func (c *mapCache) full(epoch uint32) ([]byte, error) { return c.get(state.FullKey(epoch)) }
func (c *mapCache) inc(epoch uint32) ([]byte, error)  { return c.get(state.IncKey(epoch)) }
