package state

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"time"

	"sepiola/entity"
	"sepiola/mon/store"
	"sepiola/object"
	"sepiola/osdmap"
)

// The keys. Epochs are decimal and padded, so that they sort.
const (
	keyGenesis    = "genesis"     // the fsid
	keyMonMap     = "monmap"      // encoded, newest
	keyEpochs     = "osdmap/span" // first and last epoch, two big-endian words
	keyFull       = "osdmap/full/"
	keyInc        = "osdmap/inc/"
	keyCreating   = "creating"
	keyOSDMeta    = "osdmeta/"
	keyMonMeta    = "monmeta/"
	keyConfig     = "config/"     // config/WHO/OPTION
	keyConfigKey  = "config-key/" // config-key/KEY
	keyLog        = "log/"        // log/NUMBER
	keyGlobalID   = "globalid"
	keyMgr        = "mgr"
	keyTimestamps = "osdmap/stamps"
)

// FullKey and IncKey are where an epoch's map and increment are stored.
func FullKey(epoch uint32) string { return fmt.Sprintf("%s%010d", keyFull, epoch) }

// IncKey is where the increment to an epoch is stored.
func IncKey(epoch uint32) string { return fmt.Sprintf("%s%010d", keyInc, epoch) }

// State is all that is agreed on. Fields are replaced, not written to; see the
// package comment.
type State struct {
	FSID   entity.UUID
	MonMap *osdmap.MonMap

	OSD                   *osdmap.Map // newest; nil before Genesis
	FirstEpoch, LastEpoch uint32
	Creating              map[object.PGID]Creating
	OSDMetadata           map[int32]map[string]string

	MonMetadata map[string]map[string]string
	Config      Config
	ConfigKeys  map[string]string
	ClusterLog  []LogEntry // oldest first
	NextLog     uint64     // number of the next entry
	NextID      uint64     // next global id
	Mgr         Mgr
}

// Creating is a PG that no OSD has reported created.
type Creating struct {
	Epoch uint32 // in which the pool appeared or grew
	Stamp time.Time
}

// Mgr is who serves the manager protocol.
type Mgr struct {
	Epoch    uint32
	Active   MgrActive
	Since    time.Time
	Modified time.Time
}

// firstGlobalID is where global ids start (AuthMonitor: 4096 are set aside).
const firstGlobalID = 4100

// Machine executes commands. It implements [store.Machine].
type Machine struct {
	// State is read by others only between calls.
	State State
}

// Restore implements [store.Machine].
func (m *Machine) Restore(r store.Reader) error {
	s := State{
		Creating: map[object.PGID]Creating{}, OSDMetadata: map[int32]map[string]string{},
		MonMetadata: map[string]map[string]string{}, Config: Config{}, ConfigKeys: map[string]string{},
		NextID: firstGlobalID,
	}
	fsid, err := r.Get(keyGenesis)
	if err != nil {
		return err
	}
	if fsid == nil {
		m.State = s
		return nil
	}
	copy(s.FSID[:], fsid)
	if err := s.restoreMaps(r); err != nil {
		return err
	}
	for key, v := range map[string]any{keyCreating: (*creatingList)(&s.Creating), keyGlobalID: &s.NextID, keyMgr: &s.Mgr} {
		if err := getJSON(r, key, v); err != nil {
			return err
		}
	}
	if err := s.restoreLists(r); err != nil {
		return err
	}
	m.State = s
	return nil
}

func (s *State) restoreMaps(r store.Reader) error {
	raw, err := r.Get(keyMonMap)
	if err != nil {
		return err
	}
	if s.MonMap, err = osdmap.DecodeMonMap(raw); err != nil {
		return fmt.Errorf("monitor map: %w", err)
	}
	span, err := r.Get(keyEpochs)
	if err != nil {
		return err
	}
	if len(span) != 8 {
		return fmt.Errorf("the span of OSD map epochs is %d bytes long, not 8", len(span))
	}
	s.FirstEpoch, s.LastEpoch = binary.BigEndian.Uint32(span), binary.BigEndian.Uint32(span[4:])
	full, err := r.Get(FullKey(s.LastEpoch))
	if err != nil {
		return err
	}
	if s.OSD, err = osdmap.DecodeMap(full); err != nil {
		return fmt.Errorf("OSD map %d: %w", s.LastEpoch, err)
	}
	return nil
}

func (s *State) restoreLists(r store.Reader) error {
	err := r.Scan(keyOSDMeta, func(k string, v []byte) error {
		var osd int32
		if _, err := fmt.Sscan(k[len(keyOSDMeta):], &osd); err != nil {
			return err
		}
		meta := map[string]string{}
		s.OSDMetadata[osd] = meta
		return json.Unmarshal(v, &meta)
	})
	if err != nil {
		return err
	}
	err = r.Scan(keyMonMeta, func(k string, v []byte) error {
		meta := map[string]string{}
		s.MonMetadata[k[len(keyMonMeta):]] = meta
		return json.Unmarshal(v, &meta)
	})
	if err != nil {
		return err
	}
	err = r.Scan(keyConfig, func(k string, v []byte) error {
		who, name, ok := strings.Cut(k[len(keyConfig):], "\x00")
		if ok {
			s.Config = s.Config.with(who, name, string(v))
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = r.Scan(keyConfigKey, func(k string, v []byte) error {
		s.ConfigKeys[k[len(keyConfigKey):]] = string(v)
		return nil
	})
	if err != nil {
		return err
	}
	return r.Scan(keyLog, func(k string, v []byte) error {
		var e LogEntry
		if err := json.Unmarshal(v, &e); err != nil {
			return err
		}
		s.ClusterLog = append(s.ClusterLog, e)
		_, err := fmt.Sscanf(k[len(keyLog):], "%d", &s.NextLog)
		s.NextLog++
		return err
	})
}

func getJSON(r store.Reader, key string, v any) error {
	raw, err := r.Get(key)
	if err != nil || raw == nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// Apply implements [store.Machine]. Answers are of type [Reply]. Should the
// commands together make an increment that no map takes, which is a fault of
// this package, they are executed one by one and the culprit is refused: a
// command in the log must never keep the monitors from starting.
func (m *Machine) Apply(b store.Batch) (answers []any, changes []store.Change) {
	answers, changes, err := m.try(b, b.Commands)
	if err == nil {
		return answers, changes
	}
	answers, changes = nil, nil
	for _, raw := range b.Commands {
		one, ch, err := m.try(b, [][]byte{raw})
		if err != nil {
			one, ch = []any{failed(syscall.EINVAL, "%v", err)}, nil
		}
		answers = append(answers, one...)
		changes = append(changes, ch...)
	}
	return answers, changes
}

// applyError is thrown where an increment cannot be applied.
type applyError struct{ err error }

// try executes commands as one transaction. On error the state is as before.
func (m *Machine) try(b store.Batch, commands [][]byte) (answers []any, changes []store.Change, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case applyError:
			err = r.err
		default:
			panic(r)
		}
	}()
	t := &txn{s: m.State, now: b.Time, rank: int(b.Origin) - 1}
	for _, raw := range commands {
		var c Command
		var reply Reply
		if err := json.Unmarshal(raw, &c); err != nil {
			reply = failed(syscall.EINVAL, "malformed command: %v", err)
		} else {
			reply = t.execute(c)
		}
		answers = append(answers, reply)
	}
	t.finish()
	m.State = t.s
	return answers, t.changes, nil
}

// txn is a batch in execution: a copy of the state and what changed.
type txn struct {
	s       State
	now     time.Time
	rank    int // of the monitor that proposed the batch
	changes []store.Change

	inc   *osdmap.Incremental // of the next epoch; nil while nothing changed
	view  *osdmap.Map         // the map with inc applied; nil when stale
	crush crushEdit

	creatingDirty bool
	logged        []LogEntry
	logMax        int
	minEpochs     uint32
}

func (t *txn) execute(c Command) Reply {
	if c.Genesis != nil {
		return t.genesis(c.Genesis)
	}
	if t.s.OSD == nil {
		return failed(syscall.EAGAIN, "the cluster has no state yet")
	}
	switch {
	case c.Admin != nil:
		return t.admin(c.Admin)
	case c.Boot != nil:
		return t.boot(c.Boot)
	case c.MarkDown != nil:
		return t.markDown(c.MarkDown)
	case c.MarkDead != nil:
		return t.markDead(c.MarkDead)
	case c.MarkOut != nil:
		return t.markOut(c.MarkOut)
	case c.Alive != nil:
		return t.alive(c.Alive)
	case c.PGTemp != nil:
		return t.pgTemp(c.PGTemp)
	case c.PGCreated != nil:
		return t.pgCreated(c.PGCreated)
	case c.Fullness != nil:
		return t.fullness(c.Fullness)
	case c.PoolUse != nil:
		return t.poolUse(c.PoolUse)
	case c.Tick != nil:
		return t.tick(c.Tick)
	case c.Log != nil:
		return t.appendLog(c.Log)
	case c.ReserveIDs != nil:
		return t.reserveIDs(c.ReserveIDs)
	case c.Mgr != nil:
		return t.mgrActive(c.Mgr)
	case c.MonMeta != nil:
		return t.monMeta(c.MonMeta)
	case c.PoolOp != nil:
		return t.poolOp(c.PoolOp)
	}
	return failed(syscall.EINVAL, "empty command")
}

func (t *txn) put(key string, value []byte) {
	t.changes = append(t.changes, store.Change{Key: key, Value: value})
}

func (t *txn) remove(key string) { t.put(key, nil) }

func (t *txn) putJSON(key string, v any) {
	p, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", key, err)) // plain data throughout
	}
	t.put(key, p)
}

// Map returns the OSD map as the commands so far have made it.
func (t *txn) Map() *osdmap.Map {
	if t.inc == nil && !t.crush.dirty {
		return t.s.OSD
	}
	if t.view == nil {
		t.view = t.preview()
	}
	return t.view
}

// preview applies the increment so far; see [Machine.Apply] for one that cannot
// be applied.
func (t *txn) preview() *osdmap.Map {
	m := t.s.OSD.Clone()
	inc := t.pending()
	if t.crush.dirty {
		inc.Crush = t.crush.m.EncodeMap()
	}
	if err := m.Apply(inc); err != nil {
		panic(applyError{fmt.Errorf("OSD map %d: %w", inc.Epoch, err)})
	}
	return m
}

// change returns the increment to be written to; the view becomes stale.
func (t *txn) change() *osdmap.Incremental {
	t.view = nil
	return t.pending()
}

func (t *txn) pending() *osdmap.Incremental {
	if t.inc == nil {
		t.inc = osdmap.NewIncremental(t.s.FSID, t.s.LastEpoch+1)
		t.inc.Modified = t.now
	}
	return t.inc
}

// flipState sets the bits of an OSD's state to what is wanted. Increments hold
// differences to the last epoch, so the bits of an earlier command in this batch
// count.
func (t *txn) flipState(osd int32, set, clear uint32) {
	old := uint32(0)
	if osd < t.s.OSD.MaxOSD {
		old = t.s.OSD.OSDState[osd]
	}
	inc := t.change()
	if _, booting := inc.NewUpClient[osd]; booting && clear&osdmap.OSDUp != 0 {
		delete(inc.NewUpClient, osd)
		delete(inc.NewUpCluster, osd)
		delete(inc.NewHBBackUp, osd)
		delete(inc.NewHBFrontUp, osd)
	}
	state := (old ^ inc.NewState[osd] | set) &^ clear
	if diff := old ^ state; diff != 0 {
		inc.NewState[osd] = diff
	} else {
		delete(inc.NewState, osd)
	}
}

// xinfo returns the OSD's extended information to be changed by put.
func (t *txn) xinfo(osd int32) (xi osdmap.OSDXInfo, put func(osdmap.OSDXInfo)) {
	m := t.Map()
	if osd < m.MaxOSD {
		xi = m.OSDXInfo[osd]
	}
	return xi, func(x osdmap.OSDXInfo) { t.change().NewXInfo[osd] = x }
}

// isOSD reports whether addrs are the current incarnation of that OSD, and it
// is up: only then what it says about the map counts.
func (t *txn) isOSD(osd int32, addrs entity.AddrVec) bool {
	m := t.Map()
	return m.IsUp(osd) && m.Addrs(osd).Equal(addrs)
}

// finish makes the new epoch, if there is one, and writes what is left.
func (t *txn) finish() {
	if t.inc != nil || t.crush.dirty {
		t.markFullPools()
		t.finishMap()
	}
	if t.creatingDirty {
		t.putJSON(keyCreating, (*creatingList)(&t.s.Creating))
	}
	t.writeLog()
	t.trimMaps()
}

func (t *txn) finishMap() {
	next := t.tidy()
	inc := t.inc
	full := next.Encode(0)
	inc.FullCRC = osdmap.EncodedCRC(full)
	t.put(FullKey(inc.Epoch), full)
	t.put(IncKey(inc.Epoch), inc.Encode(0))
	t.s.OSD, t.s.LastEpoch = next, inc.Epoch
	t.putSpan()
}

func (t *txn) putSpan() {
	span := binary.BigEndian.AppendUint32(nil, t.s.FirstEpoch)
	t.put(keyEpochs, binary.BigEndian.AppendUint32(span, t.s.LastEpoch))
}

// trimMaps drops the oldest epochs, but none that a PG still to be created
// needs for its history.
func (t *txn) trimMaps() {
	if t.minEpochs == 0 || t.s.LastEpoch <= t.minEpochs {
		return
	}
	keep := t.s.LastEpoch - t.minEpochs
	for _, c := range t.s.Creating {
		keep = min(keep, c.Epoch)
	}
	if keep <= t.s.FirstEpoch {
		return
	}
	// Bounded, so that one entry never grows large.
	const trimMax = 500
	keep = min(keep, t.s.FirstEpoch+trimMax)
	for e := t.s.FirstEpoch; e < keep; e++ {
		t.remove(FullKey(e))
		t.remove(IncKey(e))
	}
	t.remove(IncKey(keep))
	t.s.FirstEpoch = keep
	t.putSpan()
}

func (t *txn) reserveIDs(c *ReserveIDs) Reply {
	first := t.s.NextID
	t.s.NextID += c.Count
	t.putJSON(keyGlobalID, t.s.NextID)
	return Reply{Value: first}
}

func (t *txn) mgrActive(c *MgrActive) Reply {
	t.s.Mgr = Mgr{Epoch: t.s.Mgr.Epoch + 1, Active: *c, Since: t.now, Modified: t.now}
	t.putJSON(keyMgr, t.s.Mgr)
	return Reply{}
}

func (t *txn) monMeta(c *MonMeta) Reply {
	t.s.MonMetadata = maps.Clone(t.s.MonMetadata)
	t.s.MonMetadata[c.Name] = c.Metadata
	t.putJSON(keyMonMeta+c.Name, c.Metadata)
	return Reply{}
}
