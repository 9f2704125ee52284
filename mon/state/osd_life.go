package state

import (
	"fmt"
	"maps"
	"strings"
	"syscall"

	"sepiola/osdmap"
)

// Answers of [Boot] that are not failures to be told to anybody.
const (
	BootDone    = "booted"
	BootAlready = "already up"
	BootIgnored = "ignored"
	BootStale   = "asked before it was last up"
)

// boot marks an OSD up (OSDMonitor::preprocess_boot and prepare_boot). The
// reply's Value is one of the Boot constants.
func (t *txn) boot(c *Boot) Reply {
	m := t.Map()
	if c.OSD < 0 || c.OSD >= m.MaxOSD || !m.Exists(c.OSD) {
		t.log(LogWarn, "osd.%d wants to boot but is not in the map: create it with 'osd new' first", c.OSD)
		return Reply{Value: BootIgnored}
	}
	if known := m.OSDUUID[c.OSD]; !known.IsZero() && known != c.UUID {
		t.log(LogWarn, "osd.%d wants to boot with uuid %s, which is not its own (%s)", c.OSD, c.UUID, known)
		return Reply{Value: BootIgnored}
	}
	if m.Restrictions(c.OSD)&osdmap.OSDNoUp != 0 {
		return Reply{Value: BootIgnored}
	}
	if m.IsUp(c.OSD) {
		if m.Addrs(c.OSD).Equal(c.ClientAddrs) && m.ClusterAddrsOf(c.OSD).Equal(c.ClusterAddr) {
			return Reply{Value: BootAlready}
		}
		// The old incarnation goes down in an epoch of its own, so that every PG
		// sees the interval end.
		t.flipState(c.OSD, 0, osdmap.OSDUp)
		return Reply{Again: true}
	}
	if t.inc != nil && t.inc.HasState(c.OSD, osdmap.OSDUp) {
		return Reply{Again: true}
	}
	if m.Info(c.OSD).UpFrom > c.Have && m.Addrs(c.OSD).Equal(c.ClientAddrs) {
		// It was up since, with these addresses, and down again: it may not live any more,
		// and if it does it asks anew when it hears of that.
		return Reply{Value: BootStale}
	}
	t.bootUp(m, c)
	return Reply{Value: BootDone}
}

func (t *txn) bootUp(m *osdmap.Map, c *Boot) {
	osd, old := c.OSD, m.OSDState[c.OSD]
	inc := t.change()
	inc.NewUpClient[osd] = c.ClientAddrs
	inc.NewUpCluster[osd] = c.ClusterAddr
	inc.NewHBBackUp[osd] = c.HBBack
	inc.NewHBFrontUp[osd] = c.HBFront
	if m.OSDUUID[osd] != c.UUID {
		inc.NewUUID[osd] = c.UUID
	}
	info := m.Info(osd)
	if c.CleanBegin > info.LastCleanBegin || c.CleanBegin == info.LastCleanBegin && c.CleanEnd > info.LastCleanEnd {
		inc.NewLastClean[osd] = osdmap.CleanInterval{Begin: c.CleanBegin, End: c.CleanEnd}
	}
	xi := m.OSDXInfo[osd]
	t.rememberLag(&xi, c)
	xi.Features = c.Features
	xi.LastPurgedSnapsScrub = c.LastPurged
	s := c.Settings
	markIn := s.AutoMarkIn || s.AutoMarkAutoOutIn && old&osdmap.OSDAutoOut != 0 || s.AutoMarkNewIn && old&osdmap.OSDNew != 0
	if markIn && m.Restrictions(osd)&osdmap.OSDNoIn == 0 && m.IsOut(osd) {
		weight := osdmap.WeightIn
		if xi.OldWeight > 0 {
			weight, xi.OldWeight = xi.OldWeight, 0
		}
		inc.NewWeight[osd] = weight
	}
	inc.NewXInfo[osd] = xi
	t.s.OSDMetadata = maps.Clone(t.s.OSDMetadata)
	t.s.OSDMetadata[osd] = c.Metadata
	t.putJSON(fmt.Sprintf("%s%d", keyOSDMeta, osd), c.Metadata)
	t.log(LogInfo, "osd.%d %s boot", osd, c.ClientAddrs)
}

// rememberLag keeps a running measure of how often, and for how long, the OSD
// was marked down although it lived: those get more grace.
func (t *txn) rememberLag(xi *osdmap.OSDXInfo, c *Boot) {
	w := c.Settings.LaggyWeight
	if c.BootEpoch == 0 {
		xi.LaggyProbability = uint32(float64(xi.LaggyProbability) * (1 - w))
		xi.LaggyInterval = uint32(float64(xi.LaggyInterval) * (1 - w))
		return
	}
	if !xi.DownStamp.IsZero() {
		lag := t.now.Unix() - xi.DownStamp.Unix()
		if limit := c.Settings.LaggyMaxInterval; limit > 0 {
			lag = min(lag, limit)
		}
		xi.LaggyInterval = uint32(float64(max(lag, 0))*w + float64(xi.LaggyInterval)*(1-w))
	}
	const certain = 0xffffffff
	xi.LaggyProbability = uint32(certain*w + float64(xi.LaggyProbability)*(1-w))
}

// markDown marks down those OSDs that may be (OSDMonitor::can_mark_down).
func (t *txn) markDown(c *MarkDown) Reply {
	n := 0
	for _, osd := range c.OSDs {
		m := t.Map()
		if !m.IsUp(osd) || c.Addr != nil && !m.Addrs(osd).Equal(c.Addr) {
			continue
		}
		if exist, up, _ := m.Counts(); m.Restrictions(osd)&osdmap.OSDNoDown != 0 || float64(up) < c.MinUpRatio*float64(exist) {
			continue
		}
		n++
		t.flipState(osd, 0, osdmap.OSDUp)
		if c.Dead {
			xi, put := t.xinfo(osd)
			xi.DeadEpoch = t.pending().Epoch
			put(xi)
		}
		if c.Reason != "" {
			t.log(LogInfo, "osd.%d %s", osd, c.Reason)
		}
	}
	return Reply{Value: n}
}

func (t *txn) markDead(c *MarkDead) Reply {
	if m := t.Map(); m.Exists(c.OSD) && !m.IsUp(c.OSD) && c.Epoch <= t.s.LastEpoch {
		xi, put := t.xinfo(c.OSD)
		xi.DeadEpoch = c.Epoch
		put(xi)
		t.log(LogInfo, "osd.%d marked itself dead as of e%d", c.OSD, c.Epoch)
	}
	return Reply{}
}

// markOut marks out those OSDs that may be (OSDMonitor::can_mark_out).
func (t *txn) markOut(c *MarkOut) Reply {
	for _, osd := range c.OSDs {
		m := t.Map()
		if !m.Exists(osd) || m.IsUp(osd) || m.IsOut(osd) {
			continue
		}
		if exist, _, in := m.Counts(); m.Restrictions(osd)&osdmap.OSDNoOut != 0 || float64(in) < c.MinInRatio*float64(exist) {
			continue
		}
		xi, put := t.xinfo(osd)
		xi.OldWeight = m.Weight(osd)
		put(xi)
		t.change().NewWeight[osd] = osdmap.WeightOut
		t.flipState(osd, osdmap.OSDAutoOut, 0)
		t.log(LogInfo, "Marking osd.%d out (has been down for %d seconds)", osd, c.After[osd])
	}
	return Reply{}
}

func (t *txn) alive(c *Alive) Reply {
	if t.isOSD(c.OSD, c.Addrs) {
		t.raiseUpThru(c.OSD, c.Epoch)
	}
	return Reply{}
}

// raiseUpThru never lowers, and never exceeds the newest epoch.
func (t *txn) raiseUpThru(osd int32, epoch uint32) {
	epoch = min(epoch, t.s.LastEpoch)
	have := t.Map().Info(osd).UpThru
	if epoch > have {
		t.change().NewUpThru[osd] = epoch
	}
}

// pgTemp takes over the mappings a primary wants (OSDMonitor::preprocess_pgtemp
// and prepare_pgtemp). Only the acting primary has a say.
func (t *txn) pgTemp(c *PGTemp) Reply {
	if !t.isOSD(c.OSD, c.Addrs) {
		return Reply{}
	}
	taken := false
	for _, p := range c.PGs {
		// The mapping is judged by the last epoch: that is the newest a primary
		// can know. Earlier requests in this batch are about other PGs.
		m := t.s.OSD
		if m.Pools[p.PG.Pool] == nil || t.Map().Pools[p.PG.Pool] == nil {
			continue
		}
		if !c.Forced {
			if _, _, _, primary := m.PGToUpActing(p.PG); primary != c.OSD {
				continue
			}
		}
		_, hasPrimary := m.PrimaryTemp[p.PG]
		have, hasTemp := m.PGTemp[p.PG]
		if len(p.OSDs) == 0 && !hasTemp && !hasPrimary {
			continue
		}
		if len(p.OSDs) > 0 && hasTemp && !hasPrimary && equalOSDs(have, p.OSDs) {
			continue
		}
		taken = true
		inc := t.change()
		inc.NewPGTemp[p.PG] = p.OSDs
		if hasPrimary {
			inc.NewPrimaryTemp[p.PG] = -1
		}
	}
	if taken {
		t.raiseUpThru(c.OSD, c.Epoch)
	}
	return Reply{}
}

func equalOSDs(a, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// fullness takes over what an OSD says of its own fullness.
func (t *txn) fullness(c *Fullness) Reply {
	if !t.isOSD(c.OSD, c.Addrs) {
		return Reply{}
	}
	const all = osdmap.OSDFull | osdmap.OSDBackfillFull | osdmap.OSDNearFull
	have := t.Map().OSDState[c.OSD] & all
	if want := c.State & all; want != have {
		t.flipState(c.OSD, want, all&^want)
		t.log(LogInfo, "osd.%d fullness: %s -> %s", c.OSD, fullnessName(have), fullnessName(want))
	}
	return Reply{}
}

func fullnessName(state uint32) string {
	if names := osdmap.StateNames(state); len(names) > 0 {
		return strings.Join(names, ",")
	}
	return "normal"
}

func (t *txn) tick(c *Tick) Reply {
	t.minEpochs = c.Settings.MinEpochs
	var expired bool
	for addr, until := range t.Map().Blocklist {
		if until.Before(t.now) {
			expired = true
			inc := t.change()
			inc.OldBlocklist = append(inc.OldBlocklist, addr)
		}
	}
	if expired {
		sortAddrs(t.pending().OldBlocklist)
	}
	return Reply{}
}

// newOSD is `osd new` (OSDMonitor::prepare_command_osd_new without the
// secrets, which cephx brings).
func (t *txn) newOSD(a *Admin) Reply {
	uuid, err := parseUUID(a.Args.String("uuid"))
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	id := int32(-1)
	if a.Args.Has("id") {
		if id, err = parseOSD(a.Args.String("id")); err != nil {
			return failed(syscall.EINVAL, "%v", err)
		}
	}
	m := t.Map()
	if have := m.IdentifyOSD(uuid); have >= 0 {
		if id >= 0 && id != have {
			return failed(syscall.EEXIST, "uuid %s already in use for different id %d", uuid, have)
		}
		return osdCreated(a, have)
	}
	switch {
	case id < 0:
		id = t.freeID(m)
	case m.Exists(id) && m.IsDestroyed(id):
		t.flipState(id, osdmap.OSDNew, osdmap.OSDDestroyed)
		t.change().NewUUID[id] = uuid
		return osdCreated(a, id)
	case m.Exists(id):
		return failed(syscall.EEXIST, "id %d already in use and does not match uuid %s", id, uuid)
	}
	t.addOSD(m, id)
	t.change().NewUUID[id] = uuid
	return osdCreated(a, id)
}

// createOSD is the older `osd create`.
func (t *txn) createOSD(a *Admin) Reply {
	if a.Args.Has("uuid") {
		return t.newOSD(a)
	}
	m := t.Map()
	id := t.freeID(m)
	if a.Args.Has("id") {
		want, err := parseOSD(a.Args.String("id"))
		if err != nil {
			return failed(syscall.EINVAL, "%v", err)
		}
		if m.Exists(want) {
			return osdCreated(a, want)
		}
		id = want
	}
	t.addOSD(m, id)
	return osdCreated(a, id)
}

func osdCreated(a *Admin, id int32) Reply {
	if a.Args.Format() == "plain" {
		return Reply{Out: fmt.Appendf(nil, "%d\n", id)}
	}
	return Reply{Out: fmt.Appendf(nil, "{\"osdid\":%d}\n", id)}
}

// maxOSDs bounds OSD ids: arrays in the map are that long.
const maxOSDs = 10000

func (t *txn) freeID(m *osdmap.Map) int32 {
	for id := range m.MaxOSD {
		if !m.Exists(id) {
			return id
		}
	}
	return m.MaxOSD
}

// addOSD makes an OSD exist: down, out and new.
func (t *txn) addOSD(m *osdmap.Map, id int32) {
	if id >= m.MaxOSD {
		t.change().NewMaxOSD = id + 1
	}
	t.flipState(id, osdmap.OSDExists|osdmap.OSDNew, osdmap.OSDUp)
	t.change().NewWeight[id] = osdmap.WeightOut
}
