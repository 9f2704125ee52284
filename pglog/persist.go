package pglog

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/wire"
)

// The keys of a PG's metadata object (src/osd/osd_types.h, PGLog.cc). Keys that
// start with '_' are no part of the log.
const (
	keyInfoVersion    = "_infover"
	keyInfo           = "_info"
	keyBigInfo        = "_biginfo"
	keyEpoch          = "_epoch"
	keyFastInfo       = "_fastinfo"
	keyCanRollbackTo  = "can_rollback_to"
	keyTrimmedTo      = "rollback_info_trimmed_to"
	keyMayDelete      = "may_include_deletes_in_missing"
	keyDivergent      = "divergent_priors" // of releases before Ceph 11
	missingKeyPrefix  = "missing/"
	infoStructVersion = 10 // pg_latest_struct_v
)

// missingKey returns the omap key of a missing object: "missing/" and
// hobject_t::to_str.
func missingKey(o object.ID) string {
	var b strings.Builder
	b.WriteString(missingKeyPrefix)
	fmt.Fprintf(&b, "%016X.%08X.", uint64(o.Pool), object.ReverseNibbles(o.Hash))
	switch o.Snap {
	case object.NoSnap:
		b.WriteString("head")
	case object.SnapDir:
		b.WriteString("snapdir")
	default:
		b.WriteString(strconv.FormatUint(uint64(o.Snap), 16))
	}
	for _, part := range []string{o.Name, o.Key, o.Namespace} {
		b.WriteByte('.')
		b.WriteString(keyEscaper.Replace(part))
	}
	return b.String()
}

// keyEscaper is append_escaped of src/common/hobject.cc.
var keyEscaper = strings.NewReplacer("%", "%p", ".", "%e", "_", "%u")

// FastInfo are the fields of an [Info] that every write changes
// (pg_fast_info_t).
type FastInfo struct {
	LastUpdate, LastComplete Version
	LastUserVersion          uint64
	stats                    Stats // only the fields of fastStats
}

// FastInfoOf takes the fields from an info.
func FastInfoOf(i *Info) FastInfo {
	f := FastInfo{LastUpdate: i.LastUpdate, LastComplete: i.LastComplete, LastUserVersion: i.LastUserVersion}
	copyFastStats(&f.stats, &i.Stats)
	return f
}

// Apply puts the fields into an info, whatever it says.
func (f *FastInfo) Apply(i *Info) {
	i.LastUpdate, i.LastComplete, i.LastUserVersion = f.LastUpdate, f.LastComplete, f.LastUserVersion
	copyFastStats(&i.Stats, &f.stats)
}

func copyFastStats(to, from *Stats) {
	to.Version, to.ReportedSeq = from.Version, from.ReportedSeq
	to.LastFresh, to.LastActive, to.LastPeered = from.LastFresh, from.LastActive, from.LastPeered
	to.LastClean, to.LastUnstale = from.LastClean, from.LastUnstale
	to.LastUndegraded, to.LastFullsized = from.LastUndegraded, from.LastFullsized
	to.LogSize, to.OndiskLogSize = from.LogSize, from.LogSize
	a, b := &to.Stats.Sum, &from.Stats.Sum
	a.NumBytes, a.NumObjects, a.NumObjectCopies = b.NumBytes, b.NumObjects, b.NumObjectCopies
	a.NumRd, a.NumRdKB, a.NumWr, a.NumWrKB = b.NumRd, b.NumRdKB, b.NumWr, b.NumWrKB
	a.NumObjectsDirty = b.NumObjectsDirty
}

// Encode appends pg_fast_info_t, version 1.
func (f *FastInfo) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	f.LastUpdate.Encode(e)
	f.LastComplete.Encode(e)
	e.U64(f.LastUserVersion)
	f.stats.Version.Encode(e)
	e.U64(f.stats.ReportedSeq)
	e.Time(f.stats.LastFresh)
	e.Time(f.stats.LastActive)
	e.Time(f.stats.LastPeered)
	e.Time(f.stats.LastClean)
	e.Time(f.stats.LastUnstale)
	e.Time(f.stats.LastUndegraded)
	e.Time(f.stats.LastFullsized)
	e.I64(f.stats.LogSize)
	for _, p := range f.counters() {
		e.I64(*p)
	}
	e.End(m)
}

func (f *FastInfo) counters() [8]*int64 {
	s := &f.stats.Stats.Sum
	return [8]*int64{&s.NumBytes, &s.NumObjects, &s.NumObjectCopies, &s.NumRd, &s.NumRdKB,
		&s.NumWr, &s.NumWrKB, &s.NumObjectsDirty}
}

// DecodeFastInfo reads pg_fast_info_t.
func DecodeFastInfo(d *wire.Decoder) FastInfo {
	s := d.Begin(1)
	f := FastInfo{LastUpdate: DecodeVersion(d), LastComplete: DecodeVersion(d), LastUserVersion: d.U64()}
	f.stats.Version, f.stats.ReportedSeq = DecodeVersion(d), d.U64()
	f.stats.LastFresh, f.stats.LastActive, f.stats.LastPeered = d.Time(), d.Time(), d.Time()
	f.stats.LastClean, f.stats.LastUnstale = d.Time(), d.Time()
	f.stats.LastUndegraded, f.stats.LastFullsized = d.Time(), d.Time()
	f.stats.LogSize = d.I64()
	f.stats.OndiskLogSize = f.stats.LogSize
	for _, p := range f.counters() {
		*p = d.I64()
	}
	d.End(s)
	return f
}

// Persister turns changes of a copy's memory into steps of the transaction that
// changes its objects. It remembers what is stored, so that a write costs one key
// for its entry and one for the fast info. One persister serves one PG; a
// transaction that it added to must be submitted.
type Persister struct {
	coll objectstore.Coll
	meta object.GID
	// requireRollback: the pool's PGs undo entries, so the bounds for that are
	// stored too (erasure-coded pools).
	requireRollback bool

	touched  bool    // the metadata object exists
	fast     bool    // fast info is stored
	mayDel   bool    // the mark that deletes may be missing is stored
	stored   Version // last_update of the stored info
	slowInfo []byte  // the stored info without fast fields and purged snapshots, encoded
	dupsFrom string  // duplicates with lesser keys are still stored, but no part of the log
	scratch  wire.Encoder
}

// NewPersister returns the persister of a PG. exists says that the PG was loaded
// from the store, and not just made.
func NewPersister(pg object.SPGID, requireRollback, exists bool) Persister {
	return Persister{coll: objectstore.PGColl(pg), meta: pg.MetaObject(), requireRollback: requireRollback, touched: exists}
}

// Extra is what changes more rarely than a copy's info.
type Extra struct {
	// Epoch is the map the PG has reached; 0 if that need not be stored now.
	Epoch uint32
	// PastIntervals is to be stored with the purged snapshots; nil if neither
	// changed.
	PastIntervals *osdmap.PastIntervals
}

// Write adds to tx what changed of the copy since the last call. The first call for
// a PG stores all of the info and needs Extra whole.
func (p *Persister) Write(tx *objectstore.Transaction, info *Info, log *IndexedLog, missing *Missing, x Extra) {
	set := map[string][]byte{}
	var remove []string
	if !p.touched {
		tx.Touch(p.coll, p.meta)
		set[keyInfoVersion] = []byte{infoStructVersion}
		p.touched = true
	}
	if x.Epoch != 0 {
		set[keyEpoch] = encoded(4, func(e *wire.Encoder) { e.U32(x.Epoch) })
	}
	remove = p.putInfo(set, remove, info, x)
	remove = putLog(set, remove, log)
	remove = p.putMissing(set, remove, missing)
	if p.requireRollback {
		set[keyCanRollbackTo] = encoded(versionSize, log.canRollbackTo.Encode)
		set[keyTrimmedTo] = encoded(versionSize, log.rollbackInfoTrimmedTo.Encode)
	}
	if p.dupsFrom != "" {
		tx.OmapRmRange(p.coll, p.meta, dupKeyPrefix, p.dupsFrom)
		p.dupsFrom = ""
	}
	if len(remove) > 0 {
		slices.Sort(remove)
		tx.OmapRm(p.coll, p.meta, remove)
	}
	if len(set) > 0 {
		tx.OmapSet(p.coll, p.meta, set)
	}
}

func encoded(size int, enc func(*wire.Encoder)) []byte {
	e := wire.NewEncoder(size)
	enc(e)
	return e.Bytes()
}

// putInfo stores the fast fields alone where nothing else of the info changed and
// the last update went on; all of it otherwise.
func (p *Persister) putInfo(set map[string][]byte, remove []string, info *Info, x Extra) []string {
	slow := p.slowPart(info)
	forward := p.stored.Less(info.LastUpdate)
	switch {
	case x.PastIntervals == nil && bytes.Equal(slow, p.slowInfo) && forward:
		f := FastInfoOf(info)
		set[keyFastInfo] = encoded(200, f.Encode)
		p.stored, p.fast = info.LastUpdate, true
		return remove
	case p.fast && !forward:
		// The stored fast fields would override the info: theirs may be the
		// later update.
		remove = append(remove, keyFastInfo)
		p.fast = false
	}
	p.slowInfo, p.stored = bytes.Clone(slow), info.LastUpdate
	set[keyInfo] = encoded(1024, func(e *wire.Encoder) {
		plain := *info
		plain.PurgedSnaps = nil
		plain.Encode(e)
	})
	if x.PastIntervals != nil {
		set[keyBigInfo] = encoded(128, func(e *wire.Encoder) {
			x.PastIntervals.Encode(e)
			info.PurgedSnaps.Encode(e)
		})
	}
	return remove
}

// slowPart returns slowInfo of an info, valid until the next call. It is wanted for each
// change and hardly ever kept.
func (p *Persister) slowPart(info *Info) []byte {
	p.scratch.Reset()
	encodeSlow(&p.scratch, info)
	return p.scratch.Bytes()
}

// slowInfo encodes what of an info a change by a write does not touch.
func slowInfo(info *Info) []byte {
	return encoded(1024, func(e *wire.Encoder) { encodeSlow(e, info) })
}

func encodeSlow(e *wire.Encoder, info *Info) {
	plain := *info
	plain.PurgedSnaps = nil
	var none FastInfo
	none.Apply(&plain)
	plain.Encode(e)
}

func putLog(set map[string][]byte, remove []string, log *IndexedLog) []string {
	d := log.takeDelta()
	for v := range d.del {
		remove = append(remove, v.Key())
	}
	for v, n := range d.put {
		set[v.Key()] = encoded(300, n.EncodeStored)
	}
	for v := range d.dirtyDup {
		if u := log.dupToStore(v); u != nil {
			set[u.Key()] = encoded(100, u.Encode)
		} else {
			remove = append(remove, (&Dup{Version: v}).Key())
		}
	}
	return remove
}

// dupToStore returns the duplicate that is stored for a version; nil for none.
// Duplicates of one version share a key, as in Ceph: the entry's own request
// survives a restart, those it carried besides do not.
func (l *IndexedLog) dupToStore(v Version) *Dup {
	i := sort.Search(len(l.dups), func(i int) bool { return !l.dups[i].Version.Less(v) })
	var found *Dup
	for ; i < len(l.dups) && l.dups[i].Version == v; i++ {
		if found == nil || found.ReqID.IsZero() {
			found = l.dups[i]
		}
	}
	return found
}

func (p *Persister) putMissing(set map[string][]byte, remove []string, missing *Missing) []string {
	if missing.IncludesDeletes && !p.mayDel {
		set[keyMayDelete] = nil
		p.mayDel = true
	}
	for _, o := range missing.TakeChanged() {
		i, ok := missing.Get(o)
		if !ok {
			remove = append(remove, missingKey(o))
			continue
		}
		set[missingKey(o)] = encoded(128, func(e *wire.Encoder) {
			o.Encode(e)
			i.Encode(e)
		})
	}
	return remove
}

// Loaded is a copy as read from the store.
type Loaded struct {
	Copy
	Epoch         uint32 // the map the PG had reached
	PastIntervals osdmap.PastIntervals
	// Persister goes on where the stored copy ends.
	Persister Persister
}

// Load reads a PG's metadata. Errors wrap those of the store, of the decoder, or
// [ErrInconsistent].
func Load(r objectstore.Reader, pg object.SPGID, requireRollback bool) (Loaded, error) {
	out := Loaded{Persister: NewPersister(pg, requireRollback, true)}
	fail := func(err error) (Loaded, error) { return Loaded{}, fmt.Errorf("loading PG %v: %w", pg, err) }
	it, err := r.OmapIter(out.Persister.coll, out.Persister.meta, "")
	if err != nil {
		return fail(err)
	}
	defer it.Close()
	l := loader{info: map[string][]byte{}, missing: &Missing{}}
	for it.Next() {
		if err := l.take(it.Key(), it.Value()); err != nil {
			return fail(fmt.Errorf("key %q: %w", it.Key(), err))
		}
	}
	if err := it.Err(); err != nil {
		return fail(err)
	}
	if err := l.finish(&out); err != nil {
		return fail(err)
	}
	return out, nil
}

// loader collects the keys of a metadata object.
type loader struct {
	info     map[string][]byte // keys that start with '_'
	log      Log
	crt, rit *Version
	missing  *Missing
	dupsFrom string // key of the oldest duplicate that was kept, if not all were
}

// keepNewestDups drops all but the newest n duplicates; they are read oldest first.
func (l *loader) keepNewestDups(n int) {
	if cut := len(l.log.Dups) - n; cut > 0 {
		l.log.Dups = slices.Clone(l.log.Dups[cut:])
		l.dupsFrom = l.log.Dups[0].Key()
	}
}

func (l *loader) take(key string, shared []byte) error {
	value := slices.Clone(shared) // the iterator reuses it
	d := wire.NewDecoder(value)
	switch {
	case strings.HasPrefix(key, "_"):
		l.info[key] = value
		return nil
	case key == keyMayDelete:
		l.missing.IncludesDeletes = true
		return nil
	case key == keyCanRollbackTo:
		v := DecodeVersion(d)
		l.crt = &v
	case key == keyTrimmedTo:
		v := DecodeVersion(d)
		l.rit = &v
	case key == keyDivergent:
		return fmt.Errorf("%w: stored by a release before Ceph 11", ErrInconsistent)
	case strings.HasPrefix(key, missingKeyPrefix):
		o, i := object.DecodeID(d), DecodeMissingItem(d)
		l.missing.Set(o, i)
	case strings.HasPrefix(key, dupKeyPrefix):
		l.log.Dups = append(l.log.Dups, DecodeDup(d))
		if len(l.log.Dups) >= 2*MaxDups {
			l.keepNewestDups(MaxDups)
		}
	default:
		n, err := DecodeStoredEntry(value)
		l.log.Entries = append(l.log.Entries, n)
		return err
	}
	return d.Finish()
}

func (l *loader) finish(out *Loaded) error {
	if err := l.decodeInfo(out); err != nil {
		return err
	}
	l.keepNewestDups(MaxDups)
	out.Persister.dupsFrom = l.dupsFrom
	l.log.Head, l.log.Tail = out.Info.LastUpdate, out.Info.LogTail
	l.log.CanRollbackTo = out.Info.LastUpdate
	if l.crt != nil {
		l.log.CanRollbackTo = *l.crt
	}
	if l.rit != nil {
		l.log.RollbackInfoTrimmedTo = *l.rit
	}
	log, err := Index(l.log)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrInconsistent, err)
	}
	l.missing.changed = nil
	out.Log, out.Missing = log, l.missing
	out.Persister.mayDel = l.missing.IncludesDeletes
	return nil
}

func (l *loader) decodeInfo(out *Loaded) error {
	for _, key := range []string{keyInfoVersion, keyInfo, keyBigInfo, keyEpoch} {
		if _, ok := l.info[key]; !ok {
			return fmt.Errorf("%w: no key %s", ErrInconsistent, key)
		}
	}
	if v := l.info[keyInfoVersion]; len(v) != 1 || v[0] != infoStructVersion {
		return fmt.Errorf("%w: info of version %x, only %d is read", ErrInconsistent, v, infoStructVersion)
	}
	d := wire.NewDecoder(l.info[keyInfo])
	out.Info = DecodeInfo(d)
	if err := d.Finish(); err != nil {
		return fmt.Errorf("key %s: %w", keyInfo, err)
	}
	d = wire.NewDecoder(l.info[keyBigInfo])
	out.PastIntervals = osdmap.DecodePastIntervals(d)
	out.Info.PurgedSnaps = DecodeIntervalSet(d)
	if err := d.Finish(); err != nil {
		return fmt.Errorf("key %s: %w", keyBigInfo, err)
	}
	d = wire.NewDecoder(l.info[keyEpoch])
	out.Epoch = d.U32()
	if err := d.Finish(); err != nil {
		return fmt.Errorf("key %s: %w", keyEpoch, err)
	}
	out.Persister.slowInfo = slowInfo(&out.Info)
	if fast := l.info[keyFastInfo]; len(fast) > 0 {
		out.Persister.fast = true
		d = wire.NewDecoder(fast)
		f := DecodeFastInfo(d)
		if err := d.Finish(); err != nil {
			return fmt.Errorf("key %s: %w", keyFastInfo, err)
		}
		if out.Info.LastUpdate.Less(f.LastUpdate) {
			f.Apply(&out.Info)
		}
	}
	out.Persister.stored = out.Info.LastUpdate
	return nil
}

// LoadEpoch reads only which map a PG had reached.
func LoadEpoch(r objectstore.Reader, pg object.SPGID) (uint32, error) {
	got, err := r.OmapGet(objectstore.PGColl(pg), pg.MetaObject(), []string{keyEpoch})
	if err != nil {
		return 0, fmt.Errorf("loading PG %v: %w", pg, err)
	}
	d := wire.NewDecoder(got[keyEpoch])
	epoch := d.U32()
	if err := d.Finish(); err != nil {
		return 0, fmt.Errorf("loading PG %v: key %s: %w", pg, keyEpoch, err)
	}
	return epoch, nil
}

// MetaKeys returns the keys of a metadata object that has exactly this content, for
// tools that write one whole.
func MetaKeys(c Copy, epoch uint32, past osdmap.PastIntervals, requireRollback bool) map[string][]byte {
	whole := c.Clone()
	for _, n := range whole.Log.entries {
		whole.Log.delta.add(n)
	}
	for _, u := range whole.Log.dups {
		whole.Log.delta.touchDup(u.Version)
	}
	for o := range whole.Missing.items {
		whole.Missing.touch(o)
	}
	p := NewPersister(c.Info.PGID, requireRollback, false)
	var tx objectstore.Transaction
	p.Write(&tx, &whole.Info, whole.Log, whole.Missing, Extra{Epoch: epoch, PastIntervals: &past})
	out := map[string][]byte{}
	for _, op := range tx.Ops {
		if op.Kind == objectstore.OpOmapSet {
			maps.Copy(out, op.Pairs)
		}
	}
	return out
}
