package mon

import (
	"context"
	"sync"

	"sepiola/mon/state"
)

// Global ids are set aside in blocks (mon_globalid_prealloc), so that a client
// can be admitted without a round of agreement. The next block is asked for when
// less than half is left.
const idBlock = 10000

// idPool hands out global ids. It is called from the messenger's goroutines.
type idPool struct {
	m *Monitor

	mu       sync.Mutex
	from, to uint64 // not yet given
	spare    uint64 // first id of the block after; 0 when there is none
	asking   bool
}

// fill gets the first block.
func (p *idPool) fill(ctx context.Context) error {
	v, err := p.m.node.Call(ctx, state.Command{ReserveIDs: &state.ReserveIDs{Count: idBlock}}.Encode())
	if err != nil {
		return err
	}
	p.take(v.(state.Reply))
	return nil
}

func (p *idPool) take(r state.Reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking = false
	first, ok := r.Value.(uint64)
	switch {
	case !ok:
	case p.from == p.to:
		p.from, p.to = first, first+idBlock
	default:
		p.spare = first
	}
}

// next returns an id that nobody had before, 0 when there is none now.
func (p *idPool) next() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from == p.to && p.spare != 0 {
		p.from, p.to, p.spare = p.spare, p.spare+idBlock, 0
	}
	if p.to-p.from < idBlock/2 && p.spare == 0 && !p.asking {
		p.asking = true
		p.m.node.Propose(state.Command{ReserveIDs: &state.ReserveIDs{Count: idBlock}}.Encode(), func(v any, err error) {
			r, _ := v.(state.Reply)
			p.take(r)
		})
	}
	if p.from == p.to {
		return 0
	}
	id := p.from
	p.from++
	return id
}
