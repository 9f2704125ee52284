package osd

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/wire"
)

// mapStore keeps the OSD's superblock and its OSD maps: those from super.OldestMap to
// super.NewestMap in the store, the newest used in memory. Epochs are missing where
// the monitors had trimmed them before they came here. Calls that change something
// are serialized by the caller.
type mapStore struct {
	store    objectstore.Store
	cacheMax int

	mu    sync.RWMutex
	super message.OSDSuperblock
	cache map[uint32]*osdmap.Map
	incs  map[uint32][]byte // encoded, as they came, for sharing
}

// errMalformed is wrapped by errors about maps that cannot be read.
var errMalformed = errors.New("malformed OSD map")

// errGap says that maps came which do not follow those at hand.
var errGap = errors.New("the maps do not follow the newest one here")

// superObject is the name of the superblock in Ceph's OSD (OSD_SUPERBLOCK_GOBJECT).
const superObject = "osd_superblock"

// metaObject is an object of the OSD's own collection.
func metaObject(name string) object.GID {
	return object.G(object.ID{Name: name, Pool: object.PoolMeta, Hash: object.HashRjenkins.Hash(name)})
}

func fullObject(epoch uint32) object.GID {
	return metaObject("osdmap." + strconv.FormatUint(uint64(epoch), 10))
}

func incObject(epoch uint32) object.GID {
	return metaObject("inc_osdmap." + strconv.FormatUint(uint64(epoch), 10))
}

// incompat are the features of the stored data, named as Ceph's
// (OSD::get_osd_compat_set).
var incompat = message.FeatureSet{
	1: "initial feature set(~v.18)", 2: "pginfo object", 3: "object locator", 4: "last_epoch_clean",
	5: "categories", 6: "hobjectpool", 7: "biginfo", 8: "leveldbinfo", 9: "leveldblog",
	10: "snapmapper", 12: "transaction hints", 13: "pg meta object", 14: "explicit missing set",
	15: "fastinfo pg attr", 16: "deletes in missing set", 17: "new snapmapper key structure",
}

// makeSuper writes the superblock of a new OSD.
func makeSuper(store objectstore.Store, id objectstore.Identity) error {
	super := message.OSDSuperblock{
		ClusterFSID: id.ClusterFSID, OSDFSID: id.OSDFSID, Whoami: id.WhoAmI,
		Compat: message.CompatSet{Incompat: incompat},
	}
	tx := &objectstore.Transaction{}
	if ok, err := store.HasCollection(objectstore.Meta); err != nil {
		return err
	} else if !ok {
		tx.MkColl(objectstore.Meta, 0)
	}
	putSuper(tx, &super)
	return objectstore.SubmitWait(store, tx)
}

func putSuper(tx *objectstore.Transaction, super *message.OSDSuperblock) {
	e := wire.NewEncoder(256)
	super.Encode(e)
	o := metaObject(superObject)
	tx.Truncate(objectstore.Meta, o, 0)
	tx.Write(objectstore.Meta, o, 0, wire.BufOf(e.Bytes()))
}

// damagedAdvice is what an operator can do about a superblock that cannot be read.
const damagedAdvice = "the data is damaged: make the OSD anew with --mkfs and let the cluster fill it"

// openMaps reads the superblock.
func openMaps(store objectstore.Store, cacheMax int) (*mapStore, error) {
	super, err := ReadSuperblock(store)
	if err != nil {
		return nil, err
	}
	return &mapStore{store: store, cacheMax: max(cacheMax, 2), super: super,
		cache: map[uint32]*osdmap.Map{}, incs: map[uint32][]byte{}}, nil
}

// Super returns a copy of the superblock.
func (s *mapStore) Super() message.OSDSuperblock {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.super
}

// Get returns the map of an epoch; nil if it is not kept.
func (s *mapStore) Get(epoch uint32) *osdmap.Map {
	s.mu.RLock()
	m, oldest, newest := s.cache[epoch], s.super.OldestMap, s.super.NewestMap
	s.mu.RUnlock()
	if m != nil || epoch == 0 || epoch < oldest || epoch > newest {
		return m
	}
	b, err := s.store.Read(objectstore.Meta, fullObject(epoch), 0, 0)
	if err != nil {
		return nil
	}
	m, err = osdmap.DecodeMap(b.Flat())
	if err != nil {
		return nil
	}
	s.mu.Lock()
	s.remember(m)
	s.mu.Unlock()
	return m
}

// remember puts a map into the cache and forgets the oldest beyond its bound. The
// caller holds mu.
func (s *mapStore) remember(m *osdmap.Map) {
	s.cache[m.Epoch] = m
	for len(s.cache) > s.cacheMax {
		least := m.Epoch
		for e := range s.cache {
			least = min(least, e)
		}
		delete(s.cache, least)
	}
}

// Add takes the maps of a message that follow those at hand, makes them durable,
// and returns the new ones in order. Older ones are passed over. errGap means
// that nothing was taken because maps in between lack, errMalformed that one cannot be
// read; other errors are the store's.
func (s *mapStore) Add(msg *message.OSDMapMsg) ([]*osdmap.Map, error) {
	super := s.Super()
	tx := &objectstore.Transaction{}
	var added []*osdmap.Map
	cur := s.Get(super.NewestMap)
	for e := max(msg.First(), super.NewestMap+1); e <= msg.Last(); e++ {
		next, full, err := step(cur, e, msg)
		if err != nil {
			return nil, err
		}
		tx.Truncate(objectstore.Meta, fullObject(e), 0)
		tx.Write(objectstore.Meta, fullObject(e), 0, wire.BufOf(full))
		if inc := msg.Incrementals[e]; inc != nil {
			tx.Truncate(objectstore.Meta, incObject(e), 0)
			tx.Write(objectstore.Meta, incObject(e), 0, wire.BufOf(inc))
		}
		added = append(added, next)
		cur = next
	}
	if len(added) == 0 {
		return nil, nil
	}
	if super.OldestMap == 0 {
		super.OldestMap = added[0].Epoch
	}
	super.NewestMap = cur.Epoch
	super.CurrentEpoch = cur.Epoch
	putSuper(tx, &super)
	if err := objectstore.SubmitWait(s.store, tx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.super = super
	for _, m := range added {
		s.remember(m)
		if inc := msg.Incrementals[m.Epoch]; inc != nil {
			s.incs[m.Epoch] = inc
		}
	}
	for e := range s.incs {
		if e+uint32(s.cacheMax) <= super.NewestMap {
			delete(s.incs, e)
		}
	}
	return added, nil
}

// step makes the map of epoch e from a message: from its full map, or from the map
// before and the increment.
func step(cur *osdmap.Map, e uint32, msg *message.OSDMapMsg) (*osdmap.Map, []byte, error) {
	if full := msg.Maps[e]; full != nil {
		m, err := osdmap.DecodeMap(full)
		if err == nil && m.Epoch != e {
			err = fmt.Errorf("it is of epoch %d", m.Epoch)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%w %d: %w", errMalformed, e, err)
		}
		return m, full, nil
	}
	inc := msg.Incrementals[e]
	if inc == nil || cur == nil || cur.Epoch+1 != e {
		return nil, nil, errGap
	}
	m, full, err := cur.ApplyEncoded(inc)
	if err != nil {
		return nil, nil, fmt.Errorf("%w increment %d: %w", errMalformed, e, err)
	}
	return m, full, nil
}

// mapLimits bound a message of maps; it carries one map at least.
type mapLimits struct{ maps, bytes int }

// Message returns a message with the maps after epoch have: as increments where
// there are, and otherwise full. It is nil if there is nothing to tell.
func (s *mapStore) Message(fsid entity.UUID, have uint32, lim mapLimits) *message.OSDMapMsg {
	super := s.Super()
	if have >= super.NewestMap {
		return nil
	}
	msg := &message.OSDMapMsg{FSID: fsid, Oldest: super.OldestMap, Newest: super.NewestMap,
		Maps: map[uint32][]byte{}, Incrementals: map[uint32][]byte{}}
	e := have + 1
	if have == 0 || e <= super.OldestMap {
		// Nothing to build on: the newest map tells all there is.
		e = super.NewestMap
	}
	for n, size := 0, 0; e <= super.NewestMap && n < lim.maps && size < lim.bytes; n++ {
		var b []byte
		if b = s.inc(e); b != nil && have != 0 && e > super.OldestMap {
			msg.Incrementals[e] = b
		} else if b = s.full(e); b != nil {
			msg.Maps[e] = b
		} else if n == 0 && e < super.NewestMap {
			e, have = super.NewestMap, 0 // there is a gap; the newest map tells all there is
			continue
		} else {
			break
		}
		size += len(b)
		e++
	}
	if len(msg.Maps)+len(msg.Incrementals) == 0 {
		return nil
	}
	return msg
}

func (s *mapStore) inc(e uint32) []byte {
	s.mu.RLock()
	b := s.incs[e]
	s.mu.RUnlock()
	if b == nil {
		if r, err := s.store.Read(objectstore.Meta, incObject(e), 0, 0); err == nil {
			b = r.Flat()
		}
	}
	return b
}

func (s *mapStore) full(e uint32) []byte {
	r, err := s.store.Read(objectstore.Meta, fullObject(e), 0, 0)
	if err != nil {
		return nil
	}
	return r.Flat()
}

// trimStep bounds the maps removed at once.
const trimStep = 30

// Trim removes maps older than keepFrom, a few at a time.
func (s *mapStore) Trim(keepFrom uint32) error {
	super := s.Super()
	keepFrom = min(keepFrom, super.NewestMap)
	if super.OldestMap == 0 || keepFrom < super.OldestMap+trimStep {
		return nil
	}
	end := min(keepFrom, super.OldestMap+trimStep)
	tx := &objectstore.Transaction{}
	for e := super.OldestMap; e < end; e++ {
		tx.Remove(objectstore.Meta, fullObject(e))
		tx.Remove(objectstore.Meta, incObject(e))
	}
	super.OldestMap = end
	putSuper(tx, &super)
	s.mu.Lock()
	s.super = super
	s.mu.Unlock()
	return s.store.Submit(tx, func() {})
}

// SetLife records in the superblock when the OSD started and until when it was
// clean.
func (s *mapStore) SetLife(mounted, cleanThru uint32) error {
	s.mu.Lock()
	if mounted != 0 {
		s.super.Mounted = mounted
	}
	s.super.CleanThru = max(s.super.CleanThru, cleanThru)
	super := s.super
	s.mu.Unlock()
	tx := &objectstore.Transaction{}
	putSuper(tx, &super)
	return objectstore.SubmitWait(s.store, tx)
}
