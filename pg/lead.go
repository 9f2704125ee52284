package pg

import (
	"maps"
	"slices"

	"sepiola/message"
	"sepiola/osdmap"
	"sepiola/pg/peering"
	"sepiola/pglog"
)

// lead is what a primary knows of the other copies, from the beginning of the
// interval to its end.
type lead struct {
	prior peering.PriorSet
	// infos are the peers', by OSD, brought up to date by what the primary sends
	// them.
	infos map[int32]*pglog.Info
	// missing are the peers' missing sets, for those whose sets are known.
	missing map[int32]*pglog.Missing
	// strays have a copy and are not members.
	strays map[int32]bool
	choice peering.Choice
	// needUpThru: the map must say that this OSD was alive in this interval before
	// it may take writes, so that others can tell later that it may have.
	needUpThru bool
	historyBad bool // a later activation is known than any copy that is left
}

// becomePrimary begins peering.
func (p *PG) becomePrimary() {
	p.lead = &lead{infos: map[int32]*pglog.Info{}, missing: map[int32]*pglog.Missing{}, strays: map[int32]bool{}}
	if p.own.Info.History.LastEpochStarted == 0 {
		p.bits |= pglog.StateCreating // the monitor waits to hear of the first activation
	}
	p.enterGetInfo()
}

// buildPrior finds out whom to ask, and asks the monitor for up_thru meanwhile.
func (p *PG) buildPrior() {
	p.lead.prior = peering.BuildPrior(p.osdmap, p.where.Up, p.where.Acting, p.past, p.own.Info.History.LastEpochStarted)
	since := p.own.Info.History.SameIntervalSince
	if p.osdmap.Info(p.env.WhoAmI).UpThru < since {
		p.lead.needUpThru = true
		p.fx.add(NeedUpThru{since})
	}
}

// checkUpThru looks whether the map says by now that this OSD is alive.
func (p *PG) checkUpThru() {
	if p.osdmap.Info(p.env.WhoAmI).UpThru >= p.own.Info.History.SameIntervalSince {
		p.lead.needUpThru = false
	}
}

// allInfos returns the peers' infos and the primary's own.
func (p *PG) allInfos() peering.Infos {
	all := make(peering.Infos, len(p.lead.infos)+1)
	maps.Copy(all, p.lead.infos)
	all[p.env.WhoAmI] = &p.own.Info
	return all
}

// isMember reports whether the OSD belongs to the up or acting set.
func (p *PG) isMember(osd int32) bool {
	return slices.Contains(p.where.Up, osd) || slices.Contains(p.where.Acting, osd)
}

// learnInfo takes a peer's info; it reports false for one that is known already.
func (p *PG) learnInfo(from int32, n *pglog.Notify) bool {
	l := p.lead
	if !p.isMember(from) && !n.Info.DNE() {
		l.strays[from] = true
	}
	if old := l.infos[from]; old != nil && old.LastUpdate == n.Info.LastUpdate &&
		old.LastEpochStarted == n.Info.LastEpochStarted && old.DNE() == n.Info.DNE() {
		return false
	}
	info := n.Info.Clone()
	l.infos[from] = &info
	p.mergeHistory(&info.History)
	return true
}

// lateNotify takes a notify in a state that does not wait for one: the copy will
// be of use as a source, or purged.
func lateNotify(p *PG, from int32, m *message.OSDPGNotify2) {
	if p.lead != nil {
		if old := p.lead.infos[from]; old == nil || !p.isMember(from) {
			p.learnInfo(from, &m.Notify)
		}
	}
}

// peeringMap is what all states of peering do about a map: begin again if it
// changes whom to ask.
func peeringMap(p *PG, ev Event) {
	p.peeringMap(ev.(NewMap))
}

// peeringMap reports whether peering began again.
func (p *PG) peeringMap(e NewMap) bool {
	p.checkUpThru()
	if p.lead.prior.AffectedBy(p.osdmap) {
		p.note("map %d changes the prior set", p.osdmap.Epoch)
		p.restartPeering()
		if !e.More {
			p.start()
		}
		return true
	}
	if !e.More && p.lead.needUpThru {
		p.fx.add(NeedUpThru{p.own.Info.History.SameIntervalSince})
	}
	return false
}

// restartPeering goes back to the beginning within the interval. Answers to what
// was asked before must not be mistaken for new ones.
func (p *PG) restartPeering() {
	p.keepPending()
	p.dropSlots()
	p.lead, p.active = nil, nil
	p.objects.clear()
	p.dropPulls()
	p.bits = 0
	p.resetEpoch = p.osdmap.Epoch
	p.state = reset{}
}

func (p *PG) query(to int32, t pglog.QueryType, since pglog.Version) {
	p.send(to, &message.OSDPGQuery2{PGID: p.id, Query: pglog.Query{Type: t, Since: since,
		History: p.own.Info.History, EpochSent: p.osdmap.Epoch, To: p.id.Shard, From: p.id.Shard}})
}

// getInfo waits for the infos of the prior set.
type getInfo struct{ asked map[int32]bool }

func (*getInfo) id() stateID { return stGetInfo }

func (p *PG) enterGetInfo() {
	s := &getInfo{asked: map[int32]bool{}}
	p.state = s
	p.buildPrior()
	s.ask(p)
	s.check(p)
}

func (s *getInfo) ask(p *PG) {
	l := p.lead
	for osd := range s.asked {
		if !slices.Contains(l.prior.Probe, osd) {
			delete(s.asked, osd)
		}
	}
	for _, osd := range l.prior.Probe {
		if osd == p.env.WhoAmI || s.asked[osd] || l.infos[osd] != nil || !p.osdmap.IsUp(osd) {
			continue
		}
		s.asked[osd] = true
		p.query(osd, pglog.QueryInfo, pglog.Version{})
	}
}

// check goes on when nothing is outstanding.
func (s *getInfo) check(p *PG) {
	switch {
	case p.lead.prior.Blocked:
		p.enterDown()
	case len(s.asked) == 0:
		p.whenFlushed(func() {
			if p.state == state(s) && len(s.asked) == 0 {
				p.enterGetLog()
			}
		})
	}
}

func getInfoMap(p *PG, _ *getInfo, ev Event) { p.peeringMap(ev.(NewMap)) }

func getInfoNotify(p *PG, s *getInfo, from int32, m *message.OSDPGNotify2) {
	delete(s.asked, from)
	started := p.own.Info.History.LastEpochStarted
	p.learnInfo(from, &m.Notify)
	if p.own.Info.History.LastEpochStarted > started {
		// What happened before that activation no longer matters.
		p.buildPrior()
		s.ask(p)
	}
	s.check(p)
}

// down waits until somebody comes back who may know of acknowledged writes.
type down struct{}

func (down) id() stateID { return stDown }

func (p *PG) enterDown() {
	p.state = down{}
	p.bits |= pglog.StateDown
	p.backOffAll()
	p.fx.add(StatsChanged{})
	p.note("down: needs one of %v", slices.Sorted(maps.Keys(p.lead.prior.BlockedBy)))
}

// downNotify may learn that the PG went active later than was known, which makes
// the interval that blocks irrelevant.
func downNotify(p *PG, from int32, m *message.OSDPGNotify2) {
	started := p.own.Info.History.LastEpochStarted
	p.learnInfo(from, &m.Notify)
	if p.own.Info.History.LastEpochStarted > started {
		p.restartPeering()
		p.start()
	}
}

// incomplete waits for a copy that can serve.
type incomplete struct{}

func (incomplete) id() stateID { return stIncomplete }

func (p *PG) enterIncomplete() {
	p.state = incomplete{}
	p.bits |= pglog.StateIncomplete
	p.backOffAll()
	p.fx.add(StatsChanged{})
	p.note("incomplete: no copy among %v can serve", p.allOSDs())
}

func incompleteNotify(p *PG, from int32, m *message.OSDPGNotify2) {
	if p.learnInfo(from, &m.Notify) {
		p.bits &^= pglog.StateIncomplete
		p.enterGetLog()
	}
}

func (p *PG) allOSDs() []int32 { return slices.Sorted(maps.Keys(p.allInfos())) }

// waitActingChange waits for the monitor to install the acting set wanted.
type waitActingChange struct{ want []int32 }

func (*waitActingChange) id() stateID { return stWaitActingChange }

func waitActingChangeMap(p *PG, s *waitActingChange, ev Event) {
	if p.peeringMap(ev.(NewMap)) {
		return
	}
	for _, osd := range s.want {
		if p.osdmap.IsDown(osd) {
			p.restartPeering()
			if !ev.(NewMap).More {
				p.start()
			}
			return
		}
	}
	p.wantActing(s.want) // the monitor may not have heard
}

// wantActing asks for an acting set; the up set needs no temporary mapping.
func (p *PG) wantActing(want []int32) {
	if slices.Equal(want, p.where.Up) {
		want = nil
	}
	p.fx.add(WantPGTemp{want})
}

// choose picks the authoritative log and the acting set. It returns false if the
// set must change first, or nobody can serve; the state is left to the caller.
func (p *PG) choose() (auth int32, c peering.Choice, ok bool) {
	all := p.allInfos()
	auth, ok, p.lead.historyBad = peering.BestInfo(all, p.env.WhoAmI)
	if !ok {
		return -1, peering.Choice{}, false
	}
	c = peering.ChooseWithAsync(all, auth, p.where.Up, p.where.Acting, p.where.UpPrimary, int(p.pool.Size), peering.Async{
		MinCost: p.conf.AsyncRecoveryMinCost, MinSize: int(p.pool.MinSize),
		MayPeer: func(acting []int32) bool { return p.osdmap.StretchCanPeer(p.pool, acting) }})
	return auth, c, true
}

// getLog waits for the authoritative log.
type getLog struct{ from int32 }

func (*getLog) id() stateID { return stGetLog }

func (p *PG) enterGetLog() {
	auth, c, ok := p.choose()
	switch {
	case !ok && !slices.Equal(p.where.Up, p.where.Acting):
		p.state = &waitActingChange{p.where.Up}
		p.wantActing(p.where.Up)
		return
	case !ok:
		p.enterIncomplete()
		return
	case !slices.Equal(c.Acting, p.where.Acting):
		p.note("acting %v wanted in place of %v", c.Acting, p.where.Acting)
		p.state = &waitActingChange{c.Acting}
		p.wantActing(c.Acting)
		return
	}
	p.lead.choice = c
	if auth == p.env.WhoAmI {
		p.enterGetMissing()
		return
	}
	best := p.lead.infos[auth]
	if p.own.Info.LastUpdate.Less(best.LogTail) {
		p.enterIncomplete()
		return
	}
	// Ask far enough back for the member that is furthest behind.
	since := p.own.Info.LastUpdate
	for _, osd := range c.Members {
		if i := p.lead.infos[osd]; i != nil && i.LastUpdate.Less(p.own.Info.LogTail) &&
			best.LogTail.AtMost(i.LastUpdate) && i.LastUpdate.Less(since) {
			since = i.LastUpdate
		}
	}
	p.state = &getLog{auth}
	if best.LastUpdate.Less(p.own.Info.LastUpdate) {
		// Where the two part may be anywhere.
		p.query(auth, pglog.QueryFullLog, pglog.Version{})
		return
	}
	p.query(auth, pglog.QueryLog, since)
}

func getLogMap(p *PG, s *getLog, ev Event) {
	if !p.peeringMap(ev.(NewMap)) && p.osdmap.IsDown(s.from) {
		p.restartPeering()
		if !ev.(NewMap).More {
			p.start()
		}
	}
}

func getLogLog(p *PG, s *getLog, from int32, m *message.OSDPGLog) {
	if from != s.from {
		return
	}
	p.takeAuthoritativeLog(from, m)
	p.enterGetMissing()
}

// getMissing waits for the members' logs and missing sets.
type getMissing struct{ asked map[int32]bool }

func (*getMissing) id() stateID { return stGetMissing }

func (p *PG) enterGetMissing() {
	s := &getMissing{asked: map[int32]bool{}}
	p.state = s
	for _, osd := range p.lead.choice.Members {
		if osd == p.env.WhoAmI {
			continue
		}
		peer := p.lead.infos[osd]
		if p.lead.missing[osd] != nil && peer.LastUpdate == p.own.Info.LastUpdate {
			continue // it gave the authoritative log, and its missing set with it
		}
		q := peering.MissingQuery(peer, &p.own.Info, p.own.Log.At(peer.LastUpdate) != nil)
		if !q.Ask {
			p.lead.missing[osd] = pglog.NewMissing()
			continue
		}
		s.asked[osd] = true
		t := pglog.QueryLog
		if q.Full {
			t = pglog.QueryFullLog
		}
		p.query(osd, t, q.Since)
	}
	s.check(p)
}

func getMissingLog(p *PG, s *getMissing, from int32, m *message.OSDPGLog) {
	if !s.asked[from] {
		return
	}
	delete(s.asked, from)
	p.takePeerLog(from, m)
	s.check(p)
}

func (s *getMissing) check(p *PG) {
	switch {
	case len(s.asked) > 0:
	case p.lead.needUpThru:
		p.state = waitUpThru{}
	default:
		p.activate()
	}
}

// waitUpThru waits for a map that says this OSD was alive in the interval.
type waitUpThru struct{}

func (waitUpThru) id() stateID { return stWaitUpThru }

func waitUpThruMap(p *PG, ev Event) {
	if !p.peeringMap(ev.(NewMap)) && !p.lead.needUpThru {
		p.activate()
	}
}

// blockedBy lists whom the PG waits for, for its statistics.
func (p *PG) blockedBy() []int32 {
	if p.lead == nil {
		return nil
	}
	switch s := p.state.(type) {
	case *getInfo:
		return slices.Sorted(maps.Keys(s.asked))
	case *getMissing:
		return slices.Sorted(maps.Keys(s.asked))
	case *getLog:
		return []int32{s.from}
	case down:
		return slices.Sorted(maps.Keys(p.lead.prior.BlockedBy))
	case incomplete:
		return slices.DeleteFunc(slices.Clone(p.lead.prior.Down), func(o int32) bool { return o == osdmap.ItemNone })
	}
	return nil
}
