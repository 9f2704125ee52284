package message

import "sepiola/wire"

var _ = register([]Entry{
	{MsgMgrReport, "mgrreport", 9, 1, 7, PrioDefault, func() Body { return new(MgrReport) }},
})

// CounterKind says what a performance counter holds (perfcounter_type_d in
// src/common/perf_counters.h); a set of bits.
type CounterKind uint8

// The bits of a counter's kind.
const (
	CounterTime       CounterKind = 0x01 // seconds; sent as nanoseconds
	CounterU64        CounterKind = 0x02
	CounterLongRunAvg CounterKind = 0x04 // a sum and a count
	CounterCounter    CounterKind = 0x08 // only grows; otherwise a gauge
	CounterHistogram  CounterKind = 0x10
)

// PerfCounterType declares a counter that later reports give values for.
type PerfCounterType struct {
	Path, Description, Nick string
	Kind                    CounterKind
	Priority                uint8
	Unit                    uint8 // 0 bytes, 1 none
}

func (t *PerfCounterType) encode(e *wire.Encoder) {
	m := e.Begin(3, 1)
	e.String(t.Path)
	e.String(t.Description)
	e.String(t.Nick)
	e.U8(uint8(t.Kind))
	e.U8(t.Priority)
	e.U8(t.Unit)
	e.End(m)
}

func decodePerfCounterType(d *wire.Decoder) PerfCounterType {
	s := d.Begin(3)
	defer d.End(s)
	t := PerfCounterType{Path: d.String(), Description: d.String(), Nick: d.String(), Kind: CounterKind(d.U8())}
	if s.Version >= 2 {
		t.Priority = d.U8()
	}
	if s.Version >= 3 {
		t.Unit = d.U8()
	}
	return t
}

// HealthMetricType says what a [DaemonHealthMetric] counts.
type HealthMetricType uint8

// What daemons report on their health.
const (
	HealthSlowOps    HealthMetricType = 0 // N1 operations, the oldest N2 seconds old
	HealthPendingPGs HealthMetricType = 1 // N PGs wait to be created
)

// DaemonHealthMetric is a number that may lead to a health warning.
type DaemonHealthMetric struct {
	Type  HealthMetricType
	Value uint64
}

// N1 is the lower half of the value.
func (m DaemonHealthMetric) N1() uint32 { return uint32(m.Value) }

// N2 is the upper half of the value.
func (m DaemonHealthMetric) N2() uint32 { return uint32(m.Value >> 32) }

// PerfReport is a per-client statistic and the query it answers, still encoded.
type PerfReport struct{ Query, Report []byte }

// MgrReport is a daemon's periodic report (MMgrReport).
type MgrReport struct {
	DaemonName  string
	ServiceName string // empty: the kind of the peer
	// Declare adds counters, after those declared before in the session;
	// Undeclare removes them by path.
	Declare   []PerfCounterType
	Undeclare []string
	// Packed holds the values of all declared counters in order of path: for
	// each 8 bytes, and 16 more for an average: count, and count again.
	Packed []byte
	// Status and Tasks are nil unless they changed.
	Status, Tasks *map[string]string
	Health        []DaemonHealthMetric
	Config        []byte // as in MgrOpen; empty unless it changed
	PerfReports   []PerfReport
	Metric        *Metric
}

// Type returns MsgMgrReport.
func (*MgrReport) Type() uint16 { return MsgMgrReport }

// Encode implements [Body].
func (m *MgrReport) Encode(o *Out) {
	o.String(m.DaemonName)
	wire.Slice(o.Encoder, m.Declare, func(e *wire.Encoder, t PerfCounterType) { t.encode(e) })
	o.Blob(m.Packed)
	putStrings(o.Encoder, m.Undeclare)
	o.String(m.ServiceName)
	putOptionalMap(o.Encoder, m.Status)
	wire.Slice(o.Encoder, m.Health, func(e *wire.Encoder, h DaemonHealthMetric) {
		k := e.Begin(1, 1)
		e.U8(uint8(h.Type))
		e.U64(h.Value)
		e.End(k)
	})
	o.Blob(m.Config)
	wire.Slice(o.Encoder, m.PerfReports, func(e *wire.Encoder, r PerfReport) {
		e.Raw(r.Query)
		e.Raw(r.Report)
	})
	putOptionalMap(o.Encoder, m.Tasks)
	putMetric(o.Encoder, m.Metric)
}

// Decode implements [Body].
func (m *MgrReport) Decode(in *In) {
	m.DaemonName = in.String()
	m.Declare = wire.ReadSlice(in.Decoder, 19, decodePerfCounterType)
	m.Packed = in.Blob()
	m.Undeclare = getStrings(in.Decoder)
	m.ServiceName = in.String()
	m.Status = getOptionalMap(in.Decoder)
	m.Health = wire.ReadSlice(in.Decoder, 15, func(d *wire.Decoder) DaemonHealthMetric {
		s := d.Begin(1)
		defer d.End(s)
		return DaemonHealthMetric{HealthMetricType(d.U8()), d.U64()}
	})
	m.Config = in.Blob()
	m.PerfReports = wire.ReadSlice(in.Decoder, 12, func(d *wire.Decoder) PerfReport {
		return PerfReport{rawEnvelope(d), rawEnvelope(d)}
	})
	if in.Version >= 8 {
		m.Tasks = getOptionalMap(in.Decoder)
	}
	if in.Version >= 9 {
		m.Metric = getMetric(in.Decoder)
	}
}

func putOptionalMap(e *wire.Encoder, m *map[string]string) {
	e.Bool(m != nil)
	if m != nil {
		putStringMap(e, *m)
	}
}

func getOptionalMap(d *wire.Decoder) *map[string]string {
	if !d.Bool() {
		return nil
	}
	m := getStringMap(d)
	return &m
}
