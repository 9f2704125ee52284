package pg

import (
	"fmt"
	"slices"
	"time"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// PG is one OSD's copy of a placement group. Make it with [New] or [Load]; drive
// it with [Drive] or by the rules of the package comment.
type PG struct {
	env  Env
	conf *Config
	id   object.SPGID
	coll objectstore.Coll

	// Of the step being taken.
	now time.Time
	fx  *Effects

	osdmap *osdmap.Map
	pool   *osdmap.Pool
	where  osdmap.Mapping // in the current interval

	// What the store holds too.
	own        pglog.Copy
	past       osdmap.PastIntervals
	persist    pglog.Persister
	savedEpoch uint32

	// resetEpoch is when the current interval began for this copy; peering
	// messages that answer something older are dropped (last_peering_reset).
	resetEpoch uint32
	state      state
	// flushed says that what was submitted before the interval is durable; onFlush
	// waits for it.
	flushed  bool
	flushGen uint64
	onFlush  []func()
	bits     pglog.State // of what is reported, beyond what follows from state

	lead   *lead     // nil unless primary
	active *active   // nil unless an active or peered primary
	follow *follower // nil unless an active replica
	leases leases
	// priorBound is when the primaries of earlier intervals have stopped answering;
	// unclocked is the same as a span until the first event tells the time.
	priorBound time.Time
	unclocked  time.Duration
	pulls      recoverySet // incoming pushes under way

	waitMap    []Event // what refers to a newer map, in order
	waitActive []*clientOp
	ready      []*clientOp // to be tried again, in order
	waiting    int         // client operations kept anywhere

	nextToken  uint64
	nextTID    uint64
	reserveGen uint64
	onCommit   []commitAction // in order of tokens

	objects    objectCache
	stats      statsKeeper
	entered    entered
	backoffs   []backoff
	backoffSeq uint64
	removed    bool
}

// commitAction is what to do once a transaction is durable.
type commitAction struct {
	token uint64
	do    func()
}

// Epoch returns the epoch of the map the PG has got to.
func (p *PG) Epoch() uint32 { return p.osdmap.Epoch }

// Mapping returns up and acting sets.
func (p *PG) Mapping() osdmap.Mapping { return p.where }

// IsPrimary reports whether this OSD leads the PG.
func (p *PG) IsPrimary() bool { return p.where.ActingPrimary == p.env.WhoAmI }

// IsRemoved reports whether the copy is gone; see [Removed].
func (p *PG) IsRemoved() bool { return p.removed }

// Info returns a copy of the PG's info.
func (p *PG) Info() pglog.Info { return p.own.Info.Clone() }

// HasWork reports whether [Continue] is called for.
func (p *PG) HasWork() bool { return len(p.ready) > 0 && !p.removed }

// Step takes one event and adds to fx what it leads to. now is the time of the
// event; it never goes backwards.
func (p *PG) Step(now time.Time, ev Event, fx *Effects) {
	if p.removed {
		return
	}
	p.now, p.fx = now, fx
	defer func() { p.fx = nil }()
	switch e := ev.(type) {
	case NewMap:
		p.advance(e)
	case Committed:
		p.committed(e.Token)
	case Fetched:
		p.fetched(e)
	case Continue:
	case SessionReset:
		p.dropSession(e.Session)
	case ClientOp:
		p.clientOp(e)
	case PeerMessage:
		p.peerMessage(e)
	case Reserved:
		p.dispatch(evReserved, e)
	case BackoffAck:
		p.backoffAck(e)
	case Command:
		p.command(e)
	case Timer:
		p.dispatch(evTimer, e)
	}
	p.runReady()
	p.noteState()
}

// Drive takes a step, carries its effects out by do, and goes on while there is
// work left. fx is reset and used for collecting.
func Drive(p *PG, now time.Time, ev Event, fx *Effects, do func(Effect)) {
	for {
		fx.Reset()
		p.Step(now, ev, fx)
		for _, e := range fx.List() {
			do(e)
		}
		if !p.HasWork() {
			fx.Reset()
			return
		}
		ev = Continue{}
	}
}

// submit hands a transaction to the store and remembers what to do when it is
// durable; then may be nil.
func (p *PG) submit(tx *objectstore.Transaction, then func()) {
	var token uint64
	if then != nil {
		p.nextToken++
		token = p.nextToken
		p.onCommit = append(p.onCommit, commitAction{token, then})
	}
	p.fx.add(Submit{tx, token})
}

func (p *PG) committed(token uint64) {
	for len(p.onCommit) > 0 && p.onCommit[0].token <= token {
		a := p.onCommit[0]
		p.onCommit = slices.Delete(p.onCommit, 0, 1)
		a.do()
	}
}

// send queues a message to one OSD.
func (p *PG) send(to int32, m message.Body) { p.fx.add(SendOSD{[]int32{to}, m}) }

// note adds a line to the debug log.
func (p *PG) note(format string, args ...any) {
	p.fx.add(Note{fmt.Sprintf(format, args...)})
}

// clog adds a line to the cluster's log.
func (p *PG) clog(level, format string, args ...any) {
	p.fx.add(ClusterLog{level, p.id.String() + " " + fmt.Sprintf(format, args...)})
}

// gid returns the store's id of an object of this PG.
func (p *PG) gid(o object.ID) object.GID {
	return object.GID{ID: o, Gen: object.NoGen, Shard: p.id.Shard}
}

// Describe says in a few words what the PG does and waits for.
func (p *PG) Describe() string {
	s := p.state.id().String()
	if b := p.blockedBy(); len(b) > 0 {
		s += fmt.Sprintf(" waits for osds %v", b)
	}
	if a := p.active; a != nil {
		s += fmt.Sprintf(" activated %d of %d, %d writes in flight, %d missing here", len(a.activated),
			len(p.lead.choice.Members), len(a.queue), p.own.Missing.Len())
		for _, osd := range a.others {
			if n := p.lead.missing[osd].Len(); n > 0 {
				s += fmt.Sprintf(", %d on osd.%d", n, osd)
			}
		}
		if f := &a.fill; f.busy {
			s += fmt.Sprintf(", filling %v from %v to %v", f.targets, f.begin, f.end)
		}
	}
	if n := len(p.waitMap); n > 0 {
		s += fmt.Sprintf(", %d events wait for a map", n)
	}
	return s
}
