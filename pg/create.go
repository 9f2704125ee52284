package pg

import (
	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// Unknown says what an OSD does about a peer's message for a PG that it does not
// have: answer it (reply is not nil), make the PG (create is not nil; deliver the
// message afterwards), or drop it. m is the OSD's current map; a message from a
// later epoch waits until the OSD has its map.
func Unknown(whoami int32, m *osdmap.Map, msg message.Body) (reply message.Body, create *CreateInfo) {
	switch b := msg.(type) {
	case *message.OSDPGQuery2:
		return answerWithout(m, b), nil
	case *message.OSDPGNotify2:
		if b.Notify.Info.DNE() || m.PGToActingPrimary(b.PGID.PGID) != whoami {
			return nil, nil
		}
		past := b.Notify.PastIntervals.Clone()
		return nil, &CreateInfo{Epoch: b.Notify.QueryEpoch, History: b.Notify.Info.History, PastIntervals: &past}
	case *message.OSDPGLog:
		past := b.PastIntervals.Clone()
		return nil, &CreateInfo{Epoch: b.QueryEpoch, History: b.Info.History, PastIntervals: &past}
	}
	return nil, nil
}

// answerWithout answers a query for a copy that does not exist.
func answerWithout(m *osdmap.Map, q *message.OSDPGQuery2) message.Body {
	info := pglog.NewInfo(q.PGID)
	if q.Query.Type == pglog.QueryLog || q.Query.Type == pglog.QueryFullLog {
		return &message.OSDPGLog{Epoch: m.Epoch, QueryEpoch: q.Query.EpochSent, Info: info,
			To: q.Query.From, From: q.Query.To}
	}
	return &message.OSDPGNotify2{PGID: object.SPGID{PGID: q.PGID.PGID, Shard: q.Query.From},
		Notify: pglog.Notify{QueryEpoch: q.Query.EpochSent, EpochSent: m.Epoch, Info: info,
			To: q.Query.From, From: q.Query.To}}
}

// IsOver reports whether the interval in which a message was sent is over by the
// map of epoch to: a copy made for it would be of no use, and might claim objects
// that have gone to the children of a PG since. So is one whose maps are not at hand.
// The sender, or its successor, speaks again in the new interval.
func IsOver(id object.PGID, maps MapSource, from, to uint32) bool {
	old := maps(from)
	if old == nil || old.Pools[id.Pool] == nil {
		return true
	}
	was := old.MappingOf(id)
	for e := from + 1; e <= to; e++ {
		m := maps(e)
		if m == nil || m.Pools[id.Pool] == nil {
			return true
		}
		is := m.MappingOf(id)
		if osdmap.IsNewInterval(id, old, was, m, is) {
			return true
		}
		old, was = m, is
	}
	return false
}
