package pglog

import (
	"fmt"
	"strings"
	"time"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/wire"
)

// encodeSpan appends a duration as Ceph does: 32-bit seconds and nanoseconds,
// both of the duration's sign (include/encoding.h).
func encodeSpan(e *wire.Encoder, t time.Duration) {
	e.I32(int32(t / time.Second))
	e.I32(int32(t % time.Second))
}

func decodeSpan(d *wire.Decoder) time.Duration {
	sec, nsec := d.I32(), d.I32()
	return time.Duration(sec)*time.Second + time.Duration(nsec)
}

// EncodeSpan appends a ceph::signedspan or timespan.
func EncodeSpan(e *wire.Encoder, t time.Duration) { encodeSpan(e, t) }

// DecodeSpan reads a ceph::signedspan or timespan.
func DecodeSpan(d *wire.Decoder) time.Duration { return decodeSpan(d) }

// History is what the members of a PG tell each other of its past
// (pg_history_t). All but the scrub fields and the span are map epochs.
type History struct {
	EpochCreated        uint32 // of the PG
	EpochPoolCreated    uint32
	LastEpochStarted    uint32 // the PG went active in it, or later
	LastIntervalStarted uint32 // first epoch of that interval
	LastEpochClean      uint32
	LastIntervalClean   uint32
	LastEpochSplit      uint32
	LastEpochMarkedFull uint32
	SameUpSince         uint32
	SameIntervalSince   uint32
	SamePrimarySince    uint32

	LastScrub           Version
	LastScrubStamp      time.Time
	LastDeepScrub       Version
	LastDeepScrubStamp  time.Time
	LastCleanScrubStamp time.Time

	// PriorReadableUntilUB bounds how long, from the time of encoding on, some
	// member of a prior interval may still answer reads.
	PriorReadableUntilUB time.Duration
}

// NewHistory returns the history of a PG created in an epoch.
func NewHistory(created uint32, at time.Time) History {
	return History{EpochCreated: created, EpochPoolCreated: created, SameUpSince: created,
		SameIntervalSince: created, SamePrimarySince: created,
		LastScrubStamp: at, LastDeepScrubStamp: at, LastCleanScrubStamp: at}
}

// Merge takes over what o knows better, except what follows from OSD maps, and
// reports whether anything changed.
func (h *History) Merge(o *History) bool {
	before := *h
	switch {
	case h.LastIntervalStarted < o.LastIntervalStarted:
		// A newer interval started: the bound was about an older one.
		h.PriorReadableUntilUB = o.PriorReadableUntilUB
	case h.LastIntervalStarted == o.LastIntervalStarted:
		h.PriorReadableUntilUB = min(h.PriorReadableUntilUB, o.PriorReadableUntilUB)
	}
	from := o.mergeable()
	for i, p := range h.mergeable() {
		*p = max(*p, *from[i])
	}
	h.LastScrub = MaxOf(h.LastScrub, o.LastScrub)
	h.LastDeepScrub = MaxOf(h.LastDeepScrub, o.LastDeepScrub)
	h.LastScrubStamp = later(h.LastScrubStamp, o.LastScrubStamp)
	h.LastDeepScrubStamp = later(h.LastDeepScrubStamp, o.LastDeepScrubStamp)
	h.LastCleanScrubStamp = later(h.LastCleanScrubStamp, o.LastCleanScrubStamp)
	return *h != before
}

// mergeable returns the epochs of which the later one counts.
func (h *History) mergeable() [8]*uint32 {
	return [8]*uint32{&h.EpochCreated, &h.EpochPoolCreated, &h.LastEpochStarted, &h.LastIntervalStarted,
		&h.LastEpochClean, &h.LastIntervalClean, &h.LastEpochSplit, &h.LastEpochMarkedFull}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// String returns Ceph's form.
func (h History) String() string {
	s := fmt.Sprintf("ec=%d/%d lis/c=%d/%d les/c/f=%d/%d/%d sis=%d", h.EpochCreated, h.EpochPoolCreated,
		h.LastIntervalStarted, h.LastIntervalClean, h.LastEpochStarted, h.LastEpochClean,
		h.LastEpochMarkedFull, h.SameIntervalSince)
	if h.PriorReadableUntilUB != 0 {
		s += " pruub=" + h.PriorReadableUntilUB.String()
	}
	return s
}

// Encode appends pg_history_t, version 10.
func (h *History) Encode(e *wire.Encoder) {
	m := e.Begin(10, 4)
	for _, p := range h.leadingEpochs() {
		e.U32(*p)
	}
	h.LastScrub.Encode(e)
	e.Time(h.LastScrubStamp)
	h.LastDeepScrub.Encode(e)
	e.Time(h.LastDeepScrubStamp)
	e.Time(h.LastCleanScrubStamp)
	e.U32(h.LastEpochMarkedFull)
	e.U32(h.LastIntervalStarted)
	e.U32(h.LastIntervalClean)
	e.U32(h.EpochPoolCreated)
	encodeSpan(e, h.PriorReadableUntilUB)
	e.End(m)
}

func (h *History) leadingEpochs() [7]*uint32 {
	return [7]*uint32{&h.EpochCreated, &h.LastEpochStarted, &h.LastEpochClean, &h.LastEpochSplit,
		&h.SameIntervalSince, &h.SameUpSince, &h.SamePrimarySince}
}

// DecodeHistory reads pg_history_t, version 9 and later.
func DecodeHistory(d *wire.Decoder) History {
	s := d.Begin(10)
	if d.Err() == nil && s.Version < 9 {
		d.Fail("PG history of version %d", s.Version)
	}
	var h History
	for _, p := range h.leadingEpochs() {
		*p = d.U32()
	}
	h.LastScrub, h.LastScrubStamp = DecodeVersion(d), d.Time()
	h.LastDeepScrub, h.LastDeepScrubStamp = DecodeVersion(d), d.Time()
	h.LastCleanScrubStamp = d.Time()
	h.LastEpochMarkedFull = d.U32()
	h.LastIntervalStarted, h.LastIntervalClean = d.U32(), d.U32()
	h.EpochPoolCreated = d.U32()
	if s.Version >= 10 {
		h.PriorReadableUntilUB = decodeSpan(d)
	}
	d.End(s)
	return h
}

// HitSetInfo describes one archived hit set (pg_hit_set_info_t).
type HitSetInfo struct {
	Begin, End time.Time
	Version    Version
	UsingGMT   bool
}

// HitSetHistory lists the archived hit sets of a cache tier
// (pg_hit_set_history_t); empty elsewhere.
type HitSetHistory struct {
	CurrentLastUpdate Version
	History           []HitSetInfo // oldest first
}

func (i HitSetInfo) encode(e *wire.Encoder) {
	m := e.Begin(2, 1)
	e.Time(i.Begin)
	e.Time(i.End)
	i.Version.Encode(e)
	e.Bool(i.UsingGMT)
	e.End(m)
}

func decodeHitSetInfo(d *wire.Decoder) HitSetInfo {
	s := d.Begin(2)
	i := HitSetInfo{Begin: d.Time(), End: d.Time(), Version: DecodeVersion(d)}
	if s.Version >= 2 {
		i.UsingGMT = d.Bool()
	}
	d.End(s)
	return i
}

// Encode appends pg_hit_set_history_t, version 1.
func (h *HitSetHistory) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	h.CurrentLastUpdate.Encode(e)
	e.Time(time.Time{})
	HitSetInfo{UsingGMT: true}.encode(e) // once the current set
	wire.Slice(e, h.History, func(e *wire.Encoder, i HitSetInfo) { i.encode(e) })
	e.End(m)
}

// DecodeHitSetHistory reads pg_hit_set_history_t.
func DecodeHitSetHistory(d *wire.Decoder) HitSetHistory {
	s := d.Begin(1)
	h := HitSetHistory{CurrentLastUpdate: DecodeVersion(d)}
	d.Time()
	decodeHitSetInfo(d)
	h.History = wire.ReadSlice(d, 6+8+8+versionSize, decodeHitSetInfo)
	d.End(s)
	return h
}

// Info sums up one copy of a PG (pg_info_t). Start from [NewInfo].
type Info struct {
	PGID                object.SPGID
	LastUpdate          Version // newest change in the log
	LastComplete        Version // nothing up to here is missing
	LastEpochStarted    uint32  // in which this copy went active
	LastIntervalStarted uint32  // first epoch of that interval
	LastUserVersion     uint64
	LogTail             Version
	// LastBackfill: objects from here on may be absent and are not in the missing
	// set. object.Max for a copy that is all there.
	LastBackfill object.ID
	PurgedSnaps  IntervalSet
	Stats        Stats
	History      History
	HitSet       HitSetHistory
}

// NewInfo returns the info of a copy without history.
func NewInfo(pg object.SPGID) Info {
	return Info{PGID: pg, LastBackfill: object.Max, Stats: NewStats()}
}

// IsEmpty reports whether nothing ever happened to the PG.
func (i *Info) IsEmpty() bool { return i.LastUpdate.V == 0 }

// DNE reports whether the copy does not exist.
func (i *Info) DNE() bool { return i.History.EpochCreated == 0 }

// HasMissing reports whether objects are missing according to the info.
func (i *Info) HasMissing() bool { return i.LastComplete != i.LastUpdate }

// IsIncomplete reports whether the copy was not backfilled to the end.
func (i *Info) IsIncomplete() bool { return !i.LastBackfill.IsMax() }

// Clone returns a copy that shares no slice with i which is written to.
func (i *Info) Clone() Info {
	c := *i
	c.Stats = i.Stats.Clone()
	return c
}

// String describes the copy in one line, as Ceph does.
func (i *Info) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v(", i.PGID)
	if i.DNE() {
		b.WriteString(" DNE")
	}
	if i.IsEmpty() {
		b.WriteString(" empty")
	} else {
		fmt.Fprintf(&b, " v %v", i.LastUpdate)
		if i.HasMissing() {
			fmt.Fprintf(&b, " lc %v", i.LastComplete)
		}
		fmt.Fprintf(&b, " (%v,%v]", i.LogTail, i.LastUpdate)
	}
	if i.IsIncomplete() {
		fmt.Fprintf(&b, " lb %v", i.LastBackfill)
	}
	fmt.Fprintf(&b, " local-lis/les=%d/%d n=%d %v)", i.LastIntervalStarted, i.LastEpochStarted,
		i.Stats.Stats.Sum.NumObjects, i.History)
	return b.String()
}

// Encode appends pg_info_t, version 32.
func (i *Info) Encode(e *wire.Encoder) {
	m := e.Begin(32, 26)
	i.PGID.PGID.Encode(e)
	i.LastUpdate.Encode(e)
	i.LastComplete.Encode(e)
	i.LogTail.Encode(e)
	object.Min.Encode(e) // once LastBackfill in another order
	i.Stats.Encode(e)
	i.History.Encode(e)
	i.PurgedSnaps.Encode(e)
	e.U32(i.LastEpochStarted)
	e.U64(i.LastUserVersion)
	i.HitSet.Encode(e)
	e.I8(i.PGID.Shard)
	i.LastBackfill.Encode(e)
	e.Bool(true) // the order of LastBackfill is the bitwise one
	e.U32(i.LastIntervalStarted)
	e.End(m)
}

// DecodeInfo reads pg_info_t, version 31 and later.
func DecodeInfo(d *wire.Decoder) Info {
	s := d.Begin(32)
	if d.Err() == nil && s.Version < 31 {
		d.Fail("PG info of version %d", s.Version)
	}
	var i Info
	i.PGID.PGID = object.DecodePGID(d)
	i.LastUpdate, i.LastComplete, i.LogTail = DecodeVersion(d), DecodeVersion(d), DecodeVersion(d)
	object.DecodeID(d)
	i.Stats = DecodeStats(d)
	i.History = DecodeHistory(d)
	i.PurgedSnaps = DecodeIntervalSet(d)
	i.LastEpochStarted = d.U32()
	i.LastUserVersion = d.U64()
	i.HitSet = DecodeHitSetHistory(d)
	i.PGID.Shard = d.I8()
	i.LastBackfill = object.DecodeID(d)
	d.Bool()
	i.LastIntervalStarted = i.LastEpochStarted
	if s.Version >= 32 {
		i.LastIntervalStarted = d.U32()
	}
	d.End(s)
	return i
}

// Notify is a copy's info on its way to the primary (pg_notify_t).
type Notify struct {
	QueryEpoch    uint32
	EpochSent     uint32
	Info          Info
	To, From      int8 // shards
	PastIntervals osdmap.PastIntervals
}

// Encode appends pg_notify_t, version 3.
func (n *Notify) Encode(e *wire.Encoder) {
	m := e.Begin(3, 2)
	e.U32(n.QueryEpoch)
	e.U32(n.EpochSent)
	n.Info.Encode(e)
	e.I8(n.To)
	e.I8(n.From)
	n.PastIntervals.Encode(e)
	e.End(m)
}

// DecodeNotify reads pg_notify_t.
func DecodeNotify(d *wire.Decoder) Notify {
	s := d.Begin(3)
	n := Notify{QueryEpoch: d.U32(), EpochSent: d.U32(), Info: DecodeInfo(d), To: d.I8(), From: d.I8()}
	if s.Version >= 3 {
		n.PastIntervals = osdmap.DecodePastIntervals(d)
	}
	d.End(s)
	return n
}

// QueryType is what a primary asks of a copy (pg_query_t).
type QueryType int32

// The questions.
const (
	QueryInfo    QueryType = 0
	QueryLog     QueryType = 1 // entries after Since
	QueryMissing QueryType = 4
	QueryFullLog QueryType = 5
)

// String returns Ceph's name of the question.
func (t QueryType) String() string {
	switch t {
	case QueryInfo:
		return "info"
	case QueryLog:
		return "log"
	case QueryMissing:
		return "missing"
	case QueryFullLog:
		return "fulllog"
	}
	return "???"
}

// Query is a primary's question to a copy (pg_query_t).
type Query struct {
	Type      QueryType
	Since     Version
	History   History
	EpochSent uint32
	To, From  int8 // shards
}

// Encode appends pg_query_t, version 3.
func (q *Query) Encode(e *wire.Encoder) {
	m := e.Begin(3, 3)
	e.I32(int32(q.Type))
	q.Since.Encode(e)
	q.History.Encode(e)
	e.U32(q.EpochSent)
	e.I8(q.To)
	e.I8(q.From)
	e.End(m)
}

// DecodeQuery reads pg_query_t.
func DecodeQuery(d *wire.Decoder) Query {
	s := d.Begin(3)
	q := Query{Type: QueryType(d.I32()), Since: DecodeVersion(d), History: DecodeHistory(d),
		EpochSent: d.U32(), To: d.I8(), From: d.I8()}
	d.End(s)
	return q
}

// Lease lets replicas know until when reads may be answered (pg_lease_t). Times
// count from the primary's start.
type Lease struct {
	ReadableUntil   time.Duration
	ReadableUntilUB time.Duration // no member answers reads beyond this
	Interval        time.Duration
}

// Encode appends pg_lease_t, version 1.
func (l *Lease) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	encodeSpan(e, l.ReadableUntil)
	encodeSpan(e, l.ReadableUntilUB)
	encodeSpan(e, l.Interval)
	e.End(m)
}

// DecodeLease reads pg_lease_t.
func DecodeLease(d *wire.Decoder) Lease {
	s := d.Begin(1)
	l := Lease{decodeSpan(d), decodeSpan(d), decodeSpan(d)}
	d.End(s)
	return l
}

// LeaseAck confirms a lease (pg_lease_ack_t).
type LeaseAck struct{ ReadableUntilUB time.Duration }

// Encode appends pg_lease_ack_t, version 1.
func (l *LeaseAck) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	encodeSpan(e, l.ReadableUntilUB)
	e.End(m)
}

// DecodeLeaseAck reads pg_lease_ack_t.
func DecodeLeaseAck(d *wire.Decoder) LeaseAck {
	s := d.Begin(1)
	l := LeaseAck{decodeSpan(d)}
	d.End(s)
	return l
}

// Create says how a PG is to come into being (pg_create_t).
type Create struct {
	Created   uint32 // epoch
	Parent    object.PGID
	SplitBits int32
}

// Encode appends pg_create_t, version 1.
func (c *Create) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.U32(c.Created)
	c.Parent.Encode(e)
	e.I32(c.SplitBits)
	e.End(m)
}

// DecodeCreate reads pg_create_t.
func DecodeCreate(d *wire.Decoder) Create {
	s := d.Begin(1)
	c := Create{Created: d.U32(), Parent: object.DecodePGID(d), SplitBits: d.I32()}
	d.End(s)
	return c
}
