package pgmap

import (
	"time"

	"sepiola/osdmap"
	"sepiola/pglog"
)

// window is over what time rates are averaged (mon_pgmap: twice the interval of
// reports, here with room for a report that comes late).
const window = 12 * time.Second

// maxSamples bounds the samples kept per pool: reports of many OSDs within a
// window count as one per sampleGap.
const (
	sampleGap  = time.Second
	maxSamples = 32
)

type sample struct {
	at  time.Time
	sum pglog.ObjectStatSum
}

// rates keeps sums of the recent past, per pool; -1 is the whole cluster.
type rates struct {
	pools map[int64][]sample
}

func newRates() rates { return rates{pools: map[int64][]sample{}} }

func (r *rates) keepPools(pools map[int64]*osdmap.Pool) {
	for id := range r.pools {
		if id >= 0 && pools[id] == nil {
			delete(r.pools, id)
		}
	}
}

func (r *rates) sample(m *Map, now time.Time) {
	if s := r.pools[-1]; len(s) > 0 && now.Sub(s[len(s)-1].at) < sampleGap {
		return
	}
	var total pglog.ObjectStatSum
	for id, p := range m.poolSums() {
		r.add(id, now, p.Stats.Sum)
		total.Add(&p.Stats.Sum)
	}
	r.add(-1, now, total)
}

func (r *rates) add(id int64, now time.Time, sum pglog.ObjectStatSum) {
	list := r.pools[id]
	// Keep one sample that is older than the window, to measure from.
	for len(list) > 1 && now.Sub(list[1].at) >= window || len(list) >= maxSamples {
		list = list[1:]
	}
	r.pools[id] = append(list[:len(list):len(list)], sample{now, sum})
}

// Rate is what clients and recovery do per second.
type Rate struct {
	ReadBytes, WriteBytes, ReadOps, WriteOps        int64
	RecoveredObjects, RecoveredBytes, RecoveredKeys int64
}

// Rate returns a pool's rates, or with -1 the cluster's. Counters that went
// backwards, as after a PG was lost, count as standing still.
func (m *Map) Rate(pool int64) Rate {
	list := m.history.pools[pool]
	if len(list) < 2 {
		return Rate{}
	}
	a, b := list[0], list[len(list)-1]
	span := b.at.Sub(a.at).Seconds()
	if span <= 0 {
		return Rate{}
	}
	per := func(from, to int64) int64 { return int64(float64(max(to-from, 0)) / span) }
	return Rate{
		ReadBytes: per(a.sum.NumRdKB, b.sum.NumRdKB) << 10, WriteBytes: per(a.sum.NumWrKB, b.sum.NumWrKB) << 10,
		ReadOps: per(a.sum.NumRd, b.sum.NumRd), WriteOps: per(a.sum.NumWr, b.sum.NumWr),
		RecoveredObjects: per(a.sum.NumObjectsRecovered, b.sum.NumObjectsRecovered),
		RecoveredBytes:   per(a.sum.NumBytesRecovered, b.sum.NumBytesRecovered),
		RecoveredKeys:    per(a.sum.NumKeysRecovered, b.sum.NumKeysRecovered),
	}
}

// Delta returns how the cluster's sums changed over the window of the rates, and
// how long that was.
func (m *Map) Delta() (pglog.PoolStat, time.Duration) {
	var d pglog.PoolStat
	list := m.history.pools[-1]
	if len(list) < 2 {
		return d, 0
	}
	a, b := list[0], list[len(list)-1]
	d.Stats.Sum = b.sum
	d.Stats.Sum.Sub(&a.sum)
	return d, b.at.Sub(a.at)
}
