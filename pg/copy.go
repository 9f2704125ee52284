package pg

import (
	"sepiola/pg/ops"
)

// FetchObject asks for the whole content of another object, perhaps of another PG
// or pool: the source of a copy within the cluster. The answer is [Fetched].
type FetchObject struct {
	Token  uint64
	Source ops.Fetch
}

func (FetchObject) effect() {}

// Fetched answers a [FetchObject].
type Fetched struct {
	Token  uint64
	Object *ops.Fetched
}

func (Fetched) event() {}

// fetch is a client's operation that waits for sources. Its object is taken as by a
// write in flight, so that nothing comes between.
type fetch struct {
	op     *clientOp
	object *objectContext
	tokens []uint64
	got    []*ops.Fetched
	left   int
}

// fetchSources begins to fetch what an operation copies from, and reports whether it
// has to wait. The object is free for a write of its own.
func (p *PG) fetchSources(op *clientOp, o *objectContext) bool {
	if op.copies != nil {
		return false
	}
	list, r := ops.Fetches(op.Op)
	if r < 0 {
		p.replyError(op, r)
		return true
	}
	if len(list) == 0 {
		return false
	}
	f := &fetch{op: op, object: o, got: make([]*ops.Fetched, len(list)), left: len(list)}
	for _, src := range list {
		p.nextToken++
		f.tokens = append(f.tokens, p.nextToken)
		p.fx.add(FetchObject{p.nextToken, src})
	}
	o.writes++
	o.exclusive = true
	p.active.fetches = append(p.active.fetches, f)
	return true
}

// fetched takes a source. With the last one the operation goes on, before what
// waits for its object.
func (p *PG) fetched(e Fetched) {
	if p.active == nil {
		return
	}
	for i, f := range p.active.fetches {
		for j, token := range f.tokens {
			if token != e.Token || f.got[j] != nil {
				continue
			}
			f.got[j] = e.Object
			if f.left--; f.left > 0 {
				return
			}
			p.active.fetches = append(p.active.fetches[:i:i], p.active.fetches[i+1:]...)
			f.op.copies = f.got
			f.op.firstInLine = true
			p.release(f.object)
			p.ready = append([]*clientOp{f.op}, p.ready...)
			return
		}
	}
}
