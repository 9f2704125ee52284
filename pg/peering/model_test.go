package peering

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

var (
	modelRuns = flag.Int("model.runs", 3000, "how many random histories of a PG to go through")
	modelSeed = flag.Uint64("model.seed", 1, "the first of their seeds")
)

// TestNoAcknowledgedWriteIsLost takes a PG through random histories, in which OSDs go
// down and come back, take each other's places, and stop at every point of peering,
// activation and writing. It protects what the decisions are for together: past
// intervals, prior set, authoritative log and acting set let a PG go active only with
// all that clients were ever told, and with nothing in between that they were not;
// and once all OSDs are up it does so.
func TestNoAcknowledgedWriteIsLost(t *testing.T) {
	active := 0
	for seed := *modelSeed; seed < *modelSeed+uint64(*modelRuns); seed++ {
		m := newModel(seed)
		if err := m.run(); err != nil {
			t.Fatalf("%s%v\nonce more: go test ./pg/peering -run Acknowledged -model.runs=1 -model.seed=%d",
				strings.Join(m.trace, ""), err, seed)
		}
		active += m.activations
	}
	if active < 2**modelRuns {
		t.Errorf("only %d activations in %d histories", active, *modelRuns)
	}
}

// replica is an OSD's copy: its log as a list of versions, and its info.
type replica struct {
	exists bool
	log    []pglog.Version
	info   pglog.Info
}

// model is a PG, its copies, and the maps.
type model struct {
	*rand.Rand
	size, minSize int
	copies        [modelOSDs]replica
	cur           *osdmap.Map
	order         []int32 // whom the PG is mapped to, by preference
	temp          []int32 // pg_temp
	where         osdmap.Mapping
	since, clean  uint32
	past          osdmap.PastIntervals
	gone          map[pglog.Version]bool // writes that diverged when the PG last went active
	choice        *Choice                // of the primary in this interval, once it is active
	served        []pglog.Version        // the log that clients have seen: went active with, or acknowledged
	activations   int
	asyncCost     uint64
	trace         []string
}

const modelOSDs = 4

var modelPG = object.PGID{Pool: 1}

func newModel(seed uint64) *model {
	m := &model{Rand: rand.New(rand.NewPCG(seed, 0)), clean: 1}
	m.gone = map[pglog.Version]bool{}
	m.size = 2 + m.IntN(2)
	m.minSize = 1 + m.IntN(2)
	m.asyncCost = uint64(m.IntN(2))
	m.cur = mapOf(nil)
	m.cur.Epoch = 1
	m.cur.SetMaxOSD(modelOSDs)
	p := osdmap.NewPool()
	p.Size, p.MinSize = uint8(m.size), uint8(m.minSize)
	p.SetPGNum(8)
	m.cur.Pools[1] = p
	for _, o := range m.Perm(modelOSDs) {
		m.order = append(m.order, int32(o))
	}
	for i := range m.copies {
		m.copies[i].info = pglog.NewInfo(modelPG.Whole())
	}
	m.where, m.since = m.mapping(), 1
	for _, o := range m.where.Up {
		m.create(o)
	}
	return m
}

func (m *model) create(osd int32) {
	c := &m.copies[osd]
	*c = replica{exists: true, info: pglog.NewInfo(modelPG.Whole())}
	c.info.History.EpochCreated = 1
}

func (m *model) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf("e%d ", m.cur.Epoch)+fmt.Sprintf(format, args...)+"\n")
}

// mapping is where the current map puts the PG.
func (m *model) mapping() osdmap.Mapping {
	var w osdmap.Mapping
	for _, o := range m.order {
		if m.cur.IsUp(o) && len(w.Up) < m.size {
			w.Up = append(w.Up, o)
		}
	}
	for _, o := range m.temp {
		if m.cur.IsUp(o) {
			w.Acting = append(w.Acting, o)
		}
	}
	if len(w.Acting) == 0 {
		w.Acting = w.Up
	}
	w.UpPrimary, w.ActingPrimary = firstOf(w.Up), firstOf(w.Acting)
	return w
}

// next makes a new map.
func (m *model) next(change func(*osdmap.Map)) {
	old, was := m.cur, m.where
	m.cur = old.Clone()
	m.cur.Epoch++
	change(m.cur)
	m.where = m.mapping()
	if !osdmap.IsNewInterval(modelPG, old, was, m.cur, m.where) {
		return
	}
	i := osdmap.ClosedInterval(modelPG, old, was, m.cur, m.since, m.clean, func(s []osdmap.PGShard) bool { return len(s) > 0 })
	if err := m.past.Add(false, i); err != nil {
		panic(err)
	}
	m.since, m.choice = m.cur.Epoch, nil
	m.note("up %v acting %v; %d-%d of %v %s", m.where.Up, m.where.Acting, i.First, i.Last, i.Acting, wrote(i.MaybeWentRW))
}

func (m *model) run() error {
	for range 10 + m.IntN(60) {
		switch m.IntN(8) {
		case 0:
			m.stopOne()
		case 1:
			m.startOne()
		case 2:
			if m.IntN(3) == 0 {
				m.next(func(*osdmap.Map) { i := 1 + m.IntN(modelOSDs-1); m.order[0], m.order[i] = m.order[i], m.order[0] })
			}
		default:
			if err := m.step(m.IntN(3) == 0); err != nil {
				return err
			}
		}
	}
	for range 3 * modelOSDs {
		m.startOne()
	}
	for range 200 {
		if err := m.step(false); err != nil || m.choice != nil && len(m.where.Acting) >= m.minSize {
			return err
		}
	}
	return fmt.Errorf("all OSDs are up, and the PG does not go active")
}

func (m *model) stopOne() {
	if o := int32(m.IntN(modelOSDs)); m.cur.IsUp(o) {
		m.note("osd.%d stops", o)
		m.next(func(n *osdmap.Map) { n.OSDState[o] &^= osdmap.OSDUp })
	}
}

func (m *model) startOne() {
	for _, o := range m.Perm(modelOSDs) {
		if !m.cur.IsUp(int32(o)) {
			m.note("osd.%d starts", o)
			m.next(func(n *osdmap.Map) { n.OSDState[o] |= osdmap.OSDUp; n.OSDInfo[o].UpFrom = n.Epoch })
			return
		}
	}
}

// step lets the primary go on. cut: what it does goes only part of the way.
func (m *model) step(cut bool) error {
	if m.where.ActingPrimary < 0 {
		return nil
	}
	if m.choice != nil {
		m.write(cut)
		return nil
	}
	return m.peer(cut)
}

// peer goes from the infos to activation.
func (m *model) peer(cut bool) error {
	self := m.where.ActingPrimary
	own := &m.copies[self]
	if !own.exists {
		m.create(self)
	}
	all, ok := m.infos()
	if !ok {
		return nil
	}
	auth, ok, _ := BestInfo(all, self)
	if !ok {
		return nil
	}
	c := ChooseWithAsync(all, auth, m.where.Up, m.where.Acting, m.where.UpPrimary, m.size, Async{MinCost: m.asyncCost, MinSize: m.minSize})
	if !slices.Equal(c.Acting, m.where.Acting) {
		m.next(func(*osdmap.Map) { m.temp = c.Acting })
		return nil
	}
	if m.cur.OSDInfo[self].UpThru < m.since {
		epoch := m.cur.Epoch
		m.next(func(n *osdmap.Map) { n.OSDInfo[self].UpThru = epoch })
		return nil
	}
	m.note("osd.%d peered, log of osd.%d %v", self, auth, m.copies[auth].log)
	return m.activate(auth, c, cut)
}

// infos asks whom the prior set names, until the history that comes back names nobody
// else. It is not ok if the PG is down.
func (m *model) infos() (Infos, bool) {
	self := m.where.ActingPrimary
	own := &m.copies[self].info
	for {
		p := BuildPrior(m.cur, m.where.Up, m.where.Acting, m.past, own.History.LastEpochStarted)
		if p.Blocked {
			return nil, false
		}
		all := Infos{self: own}
		before := own.History.LastEpochStarted
		for _, o := range p.Probe {
			if !m.copies[o].exists && slices.Contains(slices.Concat(m.where.Up, m.where.Acting), o) {
				m.create(o)
				m.copies[o].info.LastBackfill = object.Min // nothing is there yet
			}
			if i := &m.copies[o].info; m.copies[o].exists {
				all[o] = i
				own.History.Merge(&i.History)
			}
		}
		if own.History.LastEpochStarted == before {
			return all, true
		}
	}
}

// activate makes all members' logs the authoritative one.
func (m *model) activate(auth int32, c Choice, cut bool) error {
	best := m.copies[auth]
	if n := len(m.served); len(best.log) < n || !slices.Equal(best.log[:n], m.served) {
		return fmt.Errorf("the PG served %v and is to go active with the log of osd.%d, %v", m.served, auth, best.log)
	}
	for _, v := range best.log {
		if m.gone[v] {
			return fmt.Errorf("write %v had diverged and comes back with the log of osd.%d", v, auth)
		}
	}
	if best.info.IsIncomplete() {
		return fmt.Errorf("osd.%d is not whole", auth)
	}
	m.activations++
	les := best.info.LastEpochStarted
	if len(c.Acting) >= m.minSize {
		les = m.cur.Epoch
	}
	members := m.Perm(len(c.Members))
	if cut {
		members = members[:m.IntN(len(members))]
	}
	members = append(members, slices.Index(c.Members, m.where.ActingPrimary)) // itself, in any case
	history := m.copies[m.where.ActingPrimary].info.History
	for _, i := range members {
		r := &m.copies[c.Members[i]]
		if slices.Contains(c.Backfill, c.Members[i]) {
			r.info.LastBackfill = object.Min
		}
		r.log = slices.Clone(best.log)
		r.update()
		r.info.LastEpochStarted = max(r.info.LastEpochStarted, les)
		r.info.History.Merge(&history)
	}
	if cut {
		return nil // and somebody fails before the rest could
	}
	m.choice = &c
	if len(c.Acting) >= m.minSize {
		m.serve(best.log)
	}
	for _, o := range c.Members {
		// The primary knows at once, the others when they hear of it.
		if h := &m.copies[o].info.History; o == m.where.ActingPrimary || m.IntN(2) == 0 {
			h.LastEpochStarted = max(h.LastEpochStarted, les)
		}
	}
	return nil
}

// serve notes that the PG went active with a log: what it does not have has diverged.
func (m *model) serve(log []pglog.Version) {
	m.served = slices.Clone(log)
	for o := range m.copies {
		for _, v := range m.copies[o].log {
			m.gone[v] = m.gone[v] || !slices.Contains(log, v)
		}
	}
}

func (r *replica) update() {
	if n := len(r.log); n > 0 {
		r.info.LastUpdate = r.log[n-1]
	}
	r.info.LastComplete = r.info.LastUpdate
}

// write logs a write on all members, or ends recovery.
func (m *model) write(cut bool) {
	if m.IntN(4) == 0 {
		m.recovered()
		return
	}
	if len(m.where.Acting) < m.minSize {
		return
	}
	primary := &m.copies[m.where.ActingPrimary]
	v := pglog.Version{Epoch: m.cur.Epoch, V: primary.info.LastUpdate.V + 1}
	members := m.Perm(len(m.choice.Members))
	if cut {
		members = members[:m.IntN(len(members))]
	}
	for _, i := range members {
		r := &m.copies[m.choice.Members[i]]
		r.log = append(r.log, v)
		r.update()
	}
	m.note("write %v on %d of %v", v, len(members), m.choice.Members)
	if cut {
		// One of those that lack it fails; until then nothing else is acknowledged.
		for i, o := range m.choice.Members {
			if !slices.Contains(members, i) {
				m.next(func(n *osdmap.Map) { n.OSDState[o] &^= osdmap.OSDUp })
				return
			}
		}
	}
	m.served = append(m.served, v)
}

// recovered ends recovery and backfill, which go on below min_size, too: all of the up
// set act next, or if they do the PG is clean, and former members' copies are removed.
func (m *model) recovered() {
	for _, o := range m.choice.Members {
		m.copies[o].info.LastBackfill = object.Max
	}
	if !slices.Equal(m.where.Up, m.where.Acting) {
		m.next(func(*osdmap.Map) { m.temp = nil })
		return
	}
	if len(m.where.Up) < max(m.size, m.minSize) {
		return
	}
	m.note("clean")
	m.clean, m.past = m.cur.Epoch, osdmap.PastIntervals{}
	for o := range m.copies {
		c := &m.copies[o]
		switch {
		case slices.Contains(m.where.Acting, int32(o)):
			c.info.History.LastEpochStarted = max(c.info.History.LastEpochStarted, c.info.LastEpochStarted)
			c.info.History.LastEpochClean = m.clean
		case m.cur.IsUp(int32(o)):
			*c = replica{info: pglog.NewInfo(modelPG.Whole())}
		}
	}
}
