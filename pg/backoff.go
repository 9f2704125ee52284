package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
)

// backoff is a range of objects for which a client is to send nothing: what it would
// ask for cannot be had until something happens that may take long. The client keeps
// the operations, and sends them when it is told to (doc/dev/osd_internals/backoff.rst).
type backoff struct {
	to         Session
	id         uint64
	begin, end object.ID // end excluded; equal for one object
	// acked says that the client keeps what is in the range, lifted that it was told to
	// send it again. One that was lifted is kept until it is acknowledged: what comes
	// before that was sent before the client heard of it, and must not pass what the
	// client had to keep.
	acked, lifted bool
}

func (b *backoff) covers(o object.ID) bool {
	return b.begin == o || b.begin.Less(o) && o.Less(b.end)
}

// backOff has the client of an operation keep it, and all others in the range.
func (p *PG) backOff(op *clientOp, begin, end object.ID) {
	if !p.isBackedOff(&op.ClientOp) {
		p.backoffSeq++
		b := backoff{to: op.From, id: p.backoffID(), begin: begin, end: end}
		p.backoffs = append(p.backoffs, b)
		p.sendBackoff(&b, message.BackoffBlock)
	}
	p.drop(op)
}

// backoffID is unique among all that a client gets from this OSD.
func (p *PG) backoffID() uint64 {
	return uint64(p.id.Pool)<<48 | uint64(p.id.Seed)<<16 | p.backoffSeq&0xffff
}

func (p *PG) sendBackoff(b *backoff, op message.BackoffOp) {
	p.fx.add(Reply{b.to, &message.OSDBackoff{PGID: p.id, Epoch: p.osdmap.Epoch, Op: op, ID: b.id, Begin: b.begin, End: b.end}})
}

// canBackOff reports whether an operation's sender understands.
func (p *PG) canBackOff(op *clientOp) bool {
	return op.From != nil && (p.env.CanBackOff == nil || p.env.CanBackOff(op.From))
}

// isBackedOff reports whether a client was told to keep such an operation: one that it
// sent before it heard that, it sends again.
func (p *PG) isBackedOff(e *ClientOp) bool {
	o := e.Op.Object.WithSnap(object.NoSnap)
	return slices.ContainsFunc(p.backoffs, func(b backoff) bool { return b.to == e.From && b.covers(o) })
}

// releaseBackoffs lets clients send what they keep, for all objects or for one.
func (p *PG) releaseBackoffs(which func(*backoff) bool) {
	for i := range p.backoffs {
		if b := &p.backoffs[i]; !b.lifted && which(b) {
			p.sendBackoff(b, message.BackoffUnblock)
			b.lifted = true
		}
	}
	p.forgetBackoffs()
}

// backoffAck notes that a client has heard of a backoff. What it sent before is here,
// or waits for a map, and then the acknowledgement waits with it.
func (p *PG) backoffAck(e BackoffAck) {
	if p.waitsForMap(e) {
		p.waitMap = append(p.waitMap, e)
		return
	}
	for i := range p.backoffs {
		if b := &p.backoffs[i]; b.to == e.From && b.id == e.ID {
			b.acked = true
		}
	}
	p.forgetBackoffs()
}

func (p *PG) forgetBackoffs() {
	p.backoffs = slices.DeleteFunc(p.backoffs, func(b backoff) bool { return b.acked && b.lifted })
}

func allBackoffs(*backoff) bool { return true }

// backOffAll has clients keep all that waits for a PG which may be long in coming.
func (p *PG) backOffAll() {
	waiting := p.waitActive
	p.waitActive = nil
	for _, op := range waiting {
		p.waitLong(op)
	}
	p.countWaiting()
}

// waitLong keeps an operation that may have to wait for long, with its client if
// that is possible.
func (p *PG) waitLong(op *clientOp) {
	if p.canBackOff(op) {
		begin, end := p.pgBounds()
		p.backOff(op, begin, end)
		return
	}
	p.waitActive = append(p.waitActive, op)
	p.waiting++
}

// keepLong is the rule for operations in states that may last.
func keepLong(p *PG, ev Event) { p.waitLong(ev.(opEvent).op) }
