package pg

import (
	"time"

	"sepiola/message"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// leases keep a primary that was replaced, and does not know it, from answering
// with what is no longer true (doc/dev/osd_internals/stale_read.rst):
//
//   - A primary answers clients only until a time that every other member of the
//     acting set has confirmed. Each confirms what the primary says, by the
//     primary's own clock; no two clocks need agree.
//   - Who confirms notes when that time comes by its own clock: an interval from
//     the receipt at the latest, since the sending was not later than that.
//   - The next primary hears that bound from any member of the old acting set, and
//     answers nobody before it has passed, unless all who could have led are known
//     to be dead or have told it that they know of the new interval.
//
// Renewing takes place at half of the interval, so that one lost round does no
// harm.
type leases struct {
	// sent is up to when the primary has promised to answer, acked what each of
	// the others has confirmed of that.
	sent  time.Time
	acked map[int32]time.Time
	// until is up to when the primary may answer: the least of all those.
	until time.Time
	// bound is, on any member, when the primary of this interval has stopped
	// answering, if nothing is heard of it any more.
	bound time.Time
	// echoed is what a replica last heard, in the primary's clock.
	echoed time.Duration
}

// leaseInterval is how long a promise lasts.
func (p *PG) leaseInterval() time.Duration {
	if v, ok := p.pool.Opts[osdmap.OptReadLeaseInterval]; ok && v.Double > 0 {
		return time.Duration(v.Double * float64(time.Second))
	}
	return p.conf.ReadLeaseInterval
}

// span is a time as it travels: since this OSD started.
func (p *PG) span(t time.Time) time.Duration { return max(t.Sub(p.env.Started), 0) }

func (p *PG) atSpan(d time.Duration) time.Time { return p.env.Started.Add(d) }

// newLease promises to answer no longer than an interval from now.
func (p *PG) newLease() *pglog.Lease {
	l := &p.leases
	l.sent = p.now.Add(p.leaseInterval())
	return p.currentLease()
}

func (p *PG) currentLease() *pglog.Lease {
	l := &p.leases
	lease := &pglog.Lease{ReadableUntilUB: p.span(l.sent), Interval: p.leaseInterval()}
	if !l.until.IsZero() {
		lease.ReadableUntil = p.span(l.until)
	}
	return lease
}

// renewLease goes on with the promise, and sets the time for the next.
func (p *PG) renewLease() {
	lease := p.newLease()
	if to := p.actingOthers(); len(to) > 0 {
		p.fx.add(SendOSD{to, &message.OSDPGLease{PGHeader: p.headerNow(), Lease: *lease}})
	}
	p.measureLease()
	p.scheduleLease()
}

func (p *PG) scheduleLease() {
	p.fx.add(StartTimer{Kind: TimerLease, After: p.leaseInterval() / 2})
}

// actingOthers are the acting set without self.
func (p *PG) actingOthers() []int32 {
	var out []int32
	for _, osd := range members(p.where.Acting) {
		if osd != p.env.WhoAmI {
			out = append(out, osd)
		}
	}
	return out
}

// takeLease notes a primary's promise on a replica.
func (p *PG) takeLease(lease *pglog.Lease) {
	if lease == nil {
		return
	}
	l := &p.leases
	l.echoed = max(l.echoed, lease.ReadableUntilUB)
	if bound := p.now.Add(lease.Interval); bound.After(l.bound) {
		l.bound = bound
	}
}

func (p *PG) leaseAck() *pglog.LeaseAck { return &pglog.LeaseAck{ReadableUntilUB: p.leases.echoed} }

// replicaLease confirms a promise.
func replicaLease(p *PG, ev Event) {
	e := ev.(PeerMessage)
	m, ok := e.Msg.(*message.OSDPGLease)
	if !ok || !p.fromPrimary(e.From) {
		return
	}
	p.takeLease(&m.Lease)
	p.send(e.From, &message.OSDPGLeaseAck{PGHeader: p.headerNow(), Ack: *p.leaseAck()})
}

// activeLease takes a confirmation.
func activeLease(p *PG, ev Event) {
	e := ev.(PeerMessage)
	if m, ok := e.Msg.(*message.OSDPGLeaseAck); ok {
		p.takeLeaseAck(e.From, &m.Ack)
	}
}

func (p *PG) takeLeaseAck(from int32, ack *pglog.LeaseAck) {
	l := &p.leases
	if ack == nil {
		return
	}
	if at := p.atSpan(ack.ReadableUntilUB); at.After(l.acked[from]) {
		l.acked[from] = at
		p.measureLease()
	}
}

// measureLease works out up to when this primary may answer, and lets go on what
// waited for that.
func (p *PG) measureLease() {
	l := &p.leases
	l.until = l.sent
	for _, osd := range p.actingOthers() {
		if at := l.acked[osd]; at.Before(l.until) {
			l.until = at
		}
	}
	if l.until.After(l.bound) {
		l.bound = l.until
	}
	if p.active != nil && p.active.laggy && p.mayAnswer() {
		p.active.laggy = false
		p.fx.add(StatsChanged{})
		p.wakeOps()
	}
}

// mayAnswer reports whether clients may be answered at this moment.
func (p *PG) mayAnswer() bool { return !p.active.waiting && p.now.Before(p.leases.until) }

// holdBack keeps an operation for which it is too late, or too early, to be
// answered.
func (p *PG) holdBack(op *clientOp) {
	if a := p.active; !a.waiting && !a.laggy {
		a.laggy = true
		p.fx.add(StatsChanged{})
		p.note("laggy: not confirmed beyond %v", p.leases.until.Sub(p.now))
	}
	p.waitActive = append(p.waitActive, op)
	p.waiting++
}

// endLeases turns what was promised in this interval into a bound for the next.
func (p *PG) endLeases() {
	p.notePriorBound(p.leases.bound)
	p.leases = leases{acked: map[int32]time.Time{}}
}

func (p *PG) notePriorBound(t time.Time) {
	if t.After(p.priorBound) {
		p.priorBound = t
	}
}

// refreshPrior makes the history say how long, from now on, somebody may answer
// for an earlier interval.
func (p *PG) refreshPrior() {
	p.own.Info.History.PriorReadableUntilUB = max(p.priorBound.Sub(p.now), 0)
}

// awaitPrior makes an activated primary wait for those of earlier intervals that
// may still answer.
func (p *PG) awaitPrior() {
	if !p.priorMayAnswer() {
		return
	}
	p.active.waiting = true
	p.note("waiting %v for earlier primaries among %v", p.priorBound.Sub(p.now), p.silent())
	p.fx.add(StartTimer{Kind: TimerPrior, After: p.priorBound.Sub(p.now)})
}

// checkPrior ends the wait when its reason is gone.
func (p *PG) checkPrior() {
	if p.active == nil || !p.active.waiting || p.priorMayAnswer() {
		return
	}
	p.active.waiting = false
	p.fx.add(StatsChanged{})
	p.wakeOps()
}

func (p *PG) priorMayAnswer() bool { return p.now.Before(p.priorBound) && len(p.silent()) > 0 }

// silent are the members of intervals that may have been active, and with that
// answered, of whom nothing is heard and nobody knows that they are dead. Those that
// are up have told this primary that they know of its interval, or of a later boot.
func (p *PG) silent() []int32 {
	var out []int32
	for _, osd := range p.lead.prior.Readers {
		if p.osdmap.IsDown(osd) && !p.osdmap.IsDead(osd) {
			out = append(out, osd)
		}
	}
	return out
}

// startClock gives the bound that a restart or another OSD left its place in time.
func (p *PG) startClock() {
	if p.unclocked > 0 {
		p.notePriorBound(p.now.Add(p.unclocked))
		p.unclocked = 0
	}
}
