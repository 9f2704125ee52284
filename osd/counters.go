package osd

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sepiola/message"
)

// counters are the daemon's performance counters, by Ceph's names
// (src/osd/osd_perf_counters.cc).
type counters struct {
	op, opIn, opOut       atomic.Uint64
	opR, opROut           atomic.Uint64
	opW, opWIn            atomic.Uint64
	opRW, opRWIn, opRWOut atomic.Uint64
	latency, latencyR     average
	latencyW, latencyRW   average
}

// average is a counter with avgcount, sum and avgtime.
type average struct {
	mu    sync.Mutex
	count uint64
	sum   time.Duration
}

func (a *average) add(d time.Duration) {
	a.mu.Lock()
	a.count++
	a.sum += d
	a.mu.Unlock()
}

// averageJSON has Ceph's form: seconds with nine digits.
type averageJSON struct {
	Count uint64      `json:"avgcount"`
	Sum   json.Number `json:"sum"`
	Avg   json.Number `json:"avgtime"`
}

func (a *average) json() averageJSON {
	a.mu.Lock()
	defer a.mu.Unlock()
	mean := time.Duration(0)
	if a.count > 0 {
		mean = a.sum / time.Duration(a.count)
	}
	return averageJSON{a.count, seconds(a.sum), seconds(mean)}
}

func seconds(d time.Duration) json.Number { return json.Number(fmt.Sprintf("%.9f", d.Seconds())) }

// answered counts an operation that was replied to.
func (c *counters) answered(t *trackedOp, r *message.OSDOpReply, out int) {
	c.opOut.Add(uint64(out))
	if t == nil {
		return
	}
	took := time.Since(t.arrived)
	in := uint64(t.msg.Data.Len())
	c.latency.add(took)
	reads, writes := false, false
	for i := range r.Ops {
		reads = reads || r.Ops[i].Op.Reads()
		writes = writes || r.Ops[i].Op.Writes()
	}
	switch {
	case reads && writes:
		c.opRW.Add(1)
		c.opRWIn.Add(in)
		c.opRWOut.Add(uint64(out))
		c.latencyRW.add(took)
	case writes:
		c.opW.Add(1)
		c.opWIn.Add(in)
		c.latencyW.add(took)
	default:
		c.opR.Add(1)
		c.opROut.Add(uint64(out))
		c.latencyR.add(took)
	}
}

// osdCounters is the "osd" section of "perf dump".
type osdCounters struct {
	OpWIP       int         `json:"op_wip"`
	Op          uint64      `json:"op"`
	OpIn        uint64      `json:"op_in_bytes"`
	OpOut       uint64      `json:"op_out_bytes"`
	OpLatency   averageJSON `json:"op_latency"`
	OpR         uint64      `json:"op_r"`
	OpROut      uint64      `json:"op_r_out_bytes"`
	OpRLatency  averageJSON `json:"op_r_latency"`
	OpW         uint64      `json:"op_w"`
	OpWIn       uint64      `json:"op_w_in_bytes"`
	OpWLatency  averageJSON `json:"op_w_latency"`
	OpRW        uint64      `json:"op_rw"`
	OpRWIn      uint64      `json:"op_rw_in_bytes"`
	OpRWOut     uint64      `json:"op_rw_out_bytes"`
	OpRWLatency averageJSON `json:"op_rw_latency"`
	NumPG       int         `json:"numpg"`
	NumPrimary  int         `json:"numpg_primary"`
	NumReplica  int         `json:"numpg_replica"`
	NumStray    int         `json:"numpg_stray"`
	HBTo        int         `json:"heartbeat_to_peers"`
	MapEpoch    uint32      `json:"osd_map_epoch"`
	StatBytes   uint64      `json:"stat_bytes"`
	StatUsed    uint64      `json:"stat_bytes_used"`
	StatAvail   uint64      `json:"stat_bytes_avail"`
	QueueLen    int         `json:"queue_len"`
}

func (d *Daemon) counters() osdCounters {
	c := &d.perf
	out := osdCounters{
		OpWIP: len(d.opsInFlight()), Op: c.op.Load(), OpIn: c.opIn.Load(), OpOut: c.opOut.Load(), OpLatency: c.latency.json(),
		OpR: c.opR.Load(), OpROut: c.opROut.Load(), OpRLatency: c.latencyR.json(),
		OpW: c.opW.Load(), OpWIn: c.opWIn.Load(), OpWLatency: c.latencyW.json(),
		OpRW: c.opRW.Load(), OpRWIn: c.opRWIn.Load(), OpRWOut: c.opRWOut.Load(), OpRWLatency: c.latencyRW.json(),
		HBTo: len(d.hb.list()), MapEpoch: d.current.Load().Epoch,
	}
	if fs, err := d.cfg.Store.Statfs(); err == nil {
		out.StatBytes, out.StatAvail, out.StatUsed = fs.Total, fs.Available, fs.Total-fs.Available
	}
	var mu sync.Mutex
	d.onShards(func(s *shard) {
		mu.Lock()
		defer mu.Unlock()
		for _, sl := range s.pgs {
			out.NumPG++
			w := sl.pg.Mapping()
			switch {
			case sl.pg.IsPrimary():
				out.NumPrimary++
			case slices.Contains(w.Acting, d.cfg.WhoAmI) || slices.Contains(w.Up, d.cfg.WhoAmI):
				out.NumReplica++
			default:
				out.NumStray++
			}
		}
		out.QueueLen += s.queue.len()
	})
	mu.Lock()
	defer mu.Unlock()
	return out
}
