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
	// acked: the client knows, and all that it sent before has come. Until then what
	// comes is dropped even if over is set, or a later operation would be taken whose
	// forerunner was dropped.
	acked, over bool
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
		b := &p.backoffs[i]
		b.over = b.over || which(b)
	}
	p.endBackoffs(false)
}

// endBackoffs tells clients that backoffs are over, once they have heard of them; at
// once where the copy goes away.
func (p *PG) endBackoffs(atOnce bool) {
	p.backoffs = slices.DeleteFunc(p.backoffs, func(b backoff) bool {
		if b.over && b.acked || atOnce {
			p.sendBackoff(&b, message.BackoffUnblock)
			return true
		}
		return false
	})
}

// backoffAck notes that a client keeps what is in a range from here on.
func (p *PG) backoffAck(e BackoffAck) {
	for i := range p.backoffs {
		if b := &p.backoffs[i]; b.to == e.From && b.id == e.ID {
			b.acked = true
		}
	}
	p.endBackoffs(false)
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
