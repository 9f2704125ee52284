package pglog

import (
	"maps"
	"math/bits"
	"slices"

	"sepiola/wire"
)

// StoreStatfs are the space figures of a store, in bytes (store_statfs_t).
type StoreStatfs struct {
	Total              uint64
	Available          uint64
	InternallyReserved uint64
	Allocated          int64
	DataStored         int64
	// Data after compression, the space it takes, and what it was before.
	DataCompressed          int64
	DataCompressedAllocated int64
	DataCompressedOriginal  int64
	OmapAllocated           int64
	InternalMetadata        int64
}

// Used returns the bytes taken, without what the store reserves for itself.
func (s *StoreStatfs) Used() uint64 { return s.Total - s.Available - s.InternallyReserved }

// UsedRaw returns the bytes not available.
func (s *StoreStatfs) UsedRaw() uint64 { return s.Total - s.Available }

// Add adds the figures of o.
func (s *StoreStatfs) Add(o *StoreStatfs) { s.combine(o, 1) }

// Sub subtracts the figures of o.
func (s *StoreStatfs) Sub(o *StoreStatfs) { s.combine(o, -1) }

func (s *StoreStatfs) combine(o *StoreStatfs, sign int64) {
	s.Total += uint64(sign) * o.Total
	s.Available += uint64(sign) * o.Available
	s.InternallyReserved += uint64(sign) * o.InternallyReserved
	from := o.signed()
	for i, p := range s.signed() {
		*p += sign * *from[i]
	}
}

// signed returns the signed figures in the order of the encoding.
func (s *StoreStatfs) signed() [7]*int64 {
	return [7]*int64{&s.Allocated, &s.DataStored, &s.DataCompressed, &s.DataCompressedAllocated,
		&s.DataCompressedOriginal, &s.OmapAllocated, &s.InternalMetadata}
}

// Encode appends store_statfs_t, version 1.
func (s *StoreStatfs) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.U64(s.Total)
	e.U64(s.Available)
	e.U64(s.InternallyReserved)
	for _, p := range s.signed() {
		e.I64(*p)
	}
	e.End(m)
}

// DecodeStoreStatfs reads store_statfs_t.
func DecodeStoreStatfs(d *wire.Decoder) StoreStatfs {
	sc := d.Begin(1)
	s := StoreStatfs{Total: d.U64(), Available: d.U64(), InternallyReserved: d.U64()}
	for _, p := range s.signed() {
		*p = d.I64()
	}
	d.End(sc)
	return s
}

// PowTwoHist counts values by their number of binary digits (pow2_hist_t).
type PowTwoHist []int32

// Add counts a value and returns the histogram.
func (h PowTwoHist) Add(v int32) PowTwoHist {
	bin := bits.Len32(uint32(v))
	for len(h) <= bin {
		h = append(h, 0)
	}
	h[bin]++
	return h
}

// Encode appends pow2_hist_t, version 1.
func (h PowTwoHist) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	wire.Slice(e, h, wire.PutI32)
	e.End(m)
}

// DecodePowTwoHist reads pow2_hist_t.
func DecodePowTwoHist(d *wire.Decoder) PowTwoHist {
	s := d.Begin(1)
	h := wire.ReadSlice(d, 4, wire.GetI32)
	d.End(s)
	return h
}

// PingTimes are the times of heartbeats to one OSD over 1, 5 and 15 minutes,
// in microseconds (osd_stat_t::Interfaces).
type PingTimes struct {
	LastUpdate uint32 // seconds
	Back       NetPings
	Front      NetPings
}

// NetPings are the times of heartbeats over one network. Front's average of 0
// means that there is no front network.
type NetPings struct {
	Average, Min, Max [3]uint32
	Last              uint32
}

func (p NetPings) encode(e *wire.Encoder) {
	for _, a := range [][3]uint32{p.Average, p.Min, p.Max} {
		for _, v := range a {
			e.U32(v)
		}
	}
	e.U32(p.Last)
}

func decodeNetPings(d *wire.Decoder) NetPings {
	var p NetPings
	for _, a := range []*[3]uint32{&p.Average, &p.Min, &p.Max} {
		for i := range a {
			a[i] = d.U32()
		}
	}
	p.Last = d.U32()
	return p
}

// pingTimesSize is the length of one OSD's encoded times in bytes.
const pingTimesSize = 4 + 4 + 2*10*4

// OSDStat is what an OSD reports of itself (osd_stat_t).
type OSDStat struct {
	Statfs             StoreStatfs
	HBPeers            []int32
	SnapTrimQueueLen   int32
	NumSnapTrimming    int32
	OpQueueAgeHist     PowTwoHist
	CommitLatencyNS    uint64 // nanoseconds
	ApplyLatencyNS     uint64
	UpFrom             uint32
	Seq                uint64
	NumPGs             uint32
	Alerts             map[int32]map[string]string // by OSD, then by name
	NumShardsRepaired  uint64
	NumOSDs            uint32 // how many OSDs' figures these are
	NumPerPoolOSDs     uint32
	NumPerPoolOmapOSDs uint32
	HBPingTimes        map[int32]PingTimes // by OSD
}

// Add adds the figures of o, as the manager does to sum up a cluster.
func (s *OSDStat) Add(o *OSDStat) {
	s.Statfs.Add(&o.Statfs)
	s.SnapTrimQueueLen += o.SnapTrimQueueLen
	s.NumSnapTrimming += o.NumSnapTrimming
	s.NumShardsRepaired += o.NumShardsRepaired
	s.CommitLatencyNS += o.CommitLatencyNS
	s.ApplyLatencyNS += o.ApplyLatencyNS
	s.NumPGs += o.NumPGs
	s.NumOSDs += o.NumOSDs
	s.NumPerPoolOSDs += o.NumPerPoolOSDs
	s.NumPerPoolOmapOSDs += o.NumPerPoolOmapOSDs
	hist := slices.Clone(s.OpQueueAgeHist)
	for i, n := range o.OpQueueAgeHist {
		if i == len(hist) {
			hist = append(hist, 0)
		}
		hist[i] += n
	}
	s.OpQueueAgeHist = hist
	for osd, alerts := range o.Alerts {
		if s.Alerts == nil {
			s.Alerts = map[int32]map[string]string{}
		}
		if s.Alerts[osd] == nil {
			s.Alerts[osd] = map[string]string{}
		}
		maps.Copy(s.Alerts[osd], alerts)
	}
}

// Encode appends osd_stat_t, version 14.
func (s *OSDStat) Encode(e *wire.Encoder) {
	m := e.Begin(14, 2)
	e.I64(int64(s.Statfs.Total >> 10))
	e.I64(int64(s.Statfs.UsedRaw() >> 10))
	e.I64(int64(s.Statfs.Available >> 10))
	e.I32(s.SnapTrimQueueLen)
	e.I32(s.NumSnapTrimming)
	wire.Slice(e, s.HBPeers, wire.PutI32)
	e.U32(0) // once heartbeat peers outwards
	s.OpQueueAgeHist.Encode(e)
	s.encodePerf(e)
	e.U32(s.UpFrom)
	e.U64(s.Seq)
	e.U32(s.NumPGs)
	e.I64(int64(uint64(s.Statfs.Allocated) >> 10))
	e.I64(int64(uint64(s.Statfs.OmapAllocated) >> 10))
	e.I64(int64(uint64(s.Statfs.InternalMetadata) >> 10))
	s.Statfs.Encode(e)
	wire.Map(e, s.Alerts, wire.PutI32, func(e *wire.Encoder, a map[string]string) {
		wire.Map(e, a, wire.PutString, wire.PutString)
	})
	e.U64(s.NumShardsRepaired)
	e.U32(s.NumOSDs)
	e.U32(s.NumPerPoolOSDs)
	e.U32(s.NumPerPoolOmapOSDs)
	wire.Map(e, s.HBPingTimes, wire.PutI32, func(e *wire.Encoder, p PingTimes) {
		e.U32(p.LastUpdate)
		p.Back.encode(e)
		p.Front.encode(e)
	})
	e.End(m)
}

// DecodeOSDStat reads osd_stat_t, version 9 and later. The figures in KiB for
// older readers are not looked at.
func DecodeOSDStat(d *wire.Decoder) OSDStat {
	sc := d.Begin(14)
	if d.Err() == nil && sc.Version < 9 {
		d.Fail("OSD statistics of version %d", sc.Version)
	}
	d.Skip(3 * 8)
	s := OSDStat{SnapTrimQueueLen: d.I32(), NumSnapTrimming: d.I32(), HBPeers: wire.ReadSlice(d, 4, wire.GetI32)}
	wire.ReadSlice(d, 4, wire.GetI32)
	s.OpQueueAgeHist = DecodePowTwoHist(d)
	s.decodePerf(d)
	s.UpFrom, s.Seq, s.NumPGs = d.U32(), d.U64(), d.U32()
	d.Skip(3 * 8)
	s.Statfs = DecodeStoreStatfs(d)
	if sc.Version >= 10 {
		s.Alerts = wire.ReadMap(d, 8, wire.GetI32, func(d *wire.Decoder) map[string]string {
			return wire.ReadMap(d, 8, wire.GetString, wire.GetString)
		})
	}
	if sc.Version >= 11 {
		s.NumShardsRepaired = d.U64()
	}
	if sc.Version >= 12 {
		s.NumOSDs, s.NumPerPoolOSDs = d.U32(), d.U32()
	}
	if sc.Version >= 13 {
		s.NumPerPoolOmapOSDs = d.U32()
	}
	if sc.Version >= 14 {
		s.HBPingTimes = wire.ReadMap(d, pingTimesSize, wire.GetI32, func(d *wire.Decoder) PingTimes {
			return PingTimes{LastUpdate: d.U32(), Back: decodeNetPings(d), Front: decodeNetPings(d)}
		})
	}
	d.End(sc)
	return s
}

// featurePerfStatNS is OS_PERF_STAT_NS with the bits of its incarnation
// (src/include/ceph_features.h). Ceph 16 defines it and leaves it out of what its
// messengers offer, so what crosses the wire is always the first version.
const featurePerfStatNS uint64 = 1<<17 | 1<<28 | 1<<57

// encodePerf appends objectstore_perf_stat_t: in nanoseconds, or for peers
// that do not know these in milliseconds.
func (s *OSDStat) encodePerf(e *wire.Encoder) {
	if e.Features == 0 || e.Features&featurePerfStatNS == featurePerfStatNS {
		m := e.Begin(2, 2)
		e.U64(s.CommitLatencyNS)
		e.U64(s.ApplyLatencyNS)
		e.End(m)
		return
	}
	m := e.Begin(1, 1)
	e.U32(uint32(s.CommitLatencyNS / 1e6))
	e.U32(uint32(s.ApplyLatencyNS / 1e6))
	e.End(m)
}

// decodePerf reads objectstore_perf_stat_t, whose first version counted
// milliseconds.
func (s *OSDStat) decodePerf(d *wire.Decoder) {
	sc := d.Begin(2)
	if sc.Version >= 2 {
		s.CommitLatencyNS, s.ApplyLatencyNS = d.U64(), d.U64()
	} else {
		s.CommitLatencyNS, s.ApplyLatencyNS = uint64(d.U32())*1e6, uint64(d.U32())*1e6
	}
	d.End(sc)
}
