package vfs

import (
	"math/rand/v2"
)

// Frozen calls f while no other call can change anything.
func (m *Mem) Frozen(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// Crash returns what is left after a loss of power now: everything synced, and of
// each other change, with the given probability, all of it, or, of a write, some
// sectors. The file system itself is dead after it: every call fails. It is to be called
// from within Frozen or the hook.
func (m *Mem) Crash(keep float64, rng *rand.Rand) *Mem {
	m.dead = true
	return m.Snapshot(keep, rng, Call{})
}

// Snapshot returns what Crash does, and the file system lives on. Where torn is a
// write that is about to be done, half of its bytes are there.
func (m *Mem) Snapshot(keep float64, rng *rand.Rand, torn Call) *Mem {
	nodes := map[uint64]*memNode{}
	root := m.base.clone(nodes)
	for i := range m.log {
		op := &m.log[i]
		switch {
		case op.synced || rng.Float64() < keep:
			op.redo(nodes)
		case op.kind == 'w' && rng.Float64() < keep:
			op.tear(nodes, rng)
		}
	}
	if torn.write != nil {
		half := torn.write.first(torn.Len / 2)
		half.redo(nodes)
	}
	return newMem(root, m.next)
}

func newMem(root *memNode, next uint64) *Mem {
	return &Mem{root: root, base: root.clone(nil), next: next, locks: map[string]bool{}}
}

// Clone returns a copy of the file system in which everything is durable. It is to be
// called while nothing changes this one.
func (m *Mem) Clone() *Mem { return newMem(m.root.clone(nil), m.next) }

// sector is what disks write whole.
const sector = 512

func (op *memOp) tear(nodes map[uint64]*memNode, rng *rand.Rand) {
	for at := int64(0); at < int64(len(op.data)); {
		next := min((op.off+at)/sector*sector+sector-op.off, int64(len(op.data)))
		if rng.IntN(2) == 0 {
			part := memOp{kind: 'w', node: op.node, off: op.off + at, data: op.data[at:next]}
			part.redo(nodes)
		}
		at = next
	}
}

// redo does the operation to a tree; one that has no object there does nothing.
func (op *memOp) redo(nodes map[uint64]*memNode) {
	switch op.kind {
	case 'c', 'd', 'u', 'r':
		op.redoEntry(nodes)
		return
	}
	n := nodes[op.node]
	if n == nil {
		// Content of a file whose entry may come later in the log.
		n = &memNode{id: op.node}
		nodes[op.node] = n
	}
	op.apply(n)
}

func (op *memOp) redoEntry(nodes map[uint64]*memNode) {
	dir := nodes[op.dir]
	if dir == nil || dir.entries == nil {
		return
	}
	switch op.kind {
	case 'c', 'd':
		n := nodes[op.node]
		if n == nil {
			n = &memNode{id: op.node}
			nodes[op.node] = n
		}
		if op.kind == 'd' && n.entries == nil {
			n.entries = map[string]*memNode{}
		}
		dir.entries[op.name] = n
	case 'u':
		if n := dir.entries[op.name]; n != nil && n.id == op.node {
			delete(dir.entries, op.name)
		}
	case 'r':
		to, n := nodes[op.dir2], dir.entries[op.name]
		if to != nil && to.entries != nil && n != nil && n.id == op.node {
			delete(dir.entries, op.name)
			to.entries[op.name2] = n
		}
	}
}

// apply changes a file's content.
func (op *memOp) apply(n *memNode) {
	switch op.kind {
	case 'w':
		if end := op.off + int64(len(op.data)); end > int64(len(n.data)) {
			n.data = append(n.data, make([]byte, end-int64(len(n.data)))...)
		}
		copy(n.data[op.off:], op.data)
	case 't':
		if op.n <= int64(len(n.data)) {
			n.data = n.data[:op.n:op.n]
		} else {
			n.data = append(n.data, make([]byte, op.n-int64(len(n.data)))...)
		}
	case 'p':
		if lo, hi := op.off, min(op.off+op.n, int64(len(n.data))); lo < hi {
			clear(n.data[lo:hi])
		}
	case 'a':
		if n.attrs == nil {
			n.attrs = map[string][]byte{}
		}
		n.attrs[op.name] = op.data
	case 'x':
		delete(n.attrs, op.name)
	}
}
