package vfs

import (
	"bytes"
	"io"
	"maps"
	"slices"
)

// memFile is an open file of a [Mem].
type memFile struct {
	m    *Mem
	n    *memNode
	path string
}

// Close implements File.
func (f *memFile) Close() error { return nil }

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.m.begin(Call{Op: "read", Path: f.path, Off: off, Len: int64(len(p))}); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	k := copy(p, f.n.data[off:])
	if k < len(p) {
		return k, io.EOF
	}
	return k, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	op := memOp{kind: 'w', node: f.n.id, off: off, data: bytes.Clone(p)}
	if err := f.m.begin(Call{Op: "write", Path: f.path, Off: off, Len: int64(len(p)), m: f.m, file: f.n, write: &op}); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	f.m.do(f.n, op)
	return len(p), nil
}

func (f *memFile) WriteV(segments [][]byte, off int64) error {
	_, err := f.WriteAt(bytes.Join(segments, nil), off)
	return err
}

func (f *memFile) Size() (int64, error) {
	if err := f.m.enter("stat", f.path); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.m.begin(Call{Op: "truncate", Path: f.path, Off: size}); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.m.do(f.n, memOp{kind: 't', n: size})
	return nil
}

func (f *memFile) Punch(off, n int64) error {
	if err := f.m.begin(Call{Op: "punch", Path: f.path, Off: off, Len: n}); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.m.do(f.n, memOp{kind: 'p', off: off, n: n})
	return nil
}

// SyncData makes the content durable, without the attributes, as fdatasync does.
func (f *memFile) SyncData() error {
	if err := f.m.enter("fdatasync", f.path); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	for i := range f.m.log {
		switch op := &f.m.log[i]; op.kind {
		case 'w', 't', 'p':
			if op.node == f.n.id {
				op.synced = true
			}
		}
	}
	return nil
}

func (f *memFile) NextData(off int64) (int64, int64, error) {
	if err := f.m.enter("seek", f.path); err != nil {
		return 0, 0, err
	}
	defer f.m.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, 0, io.EOF
	}
	return off, int64(len(f.n.data)), nil
}

func (f *memFile) Reserve(int64) {}

func (f *memFile) ReadAhead(int64, int64) {}

func (f *memFile) GetAttr(name string) ([]byte, error) {
	if err := f.m.begin(Call{Op: "getxattr", Path: f.path, Name: name}); err != nil {
		return nil, err
	}
	defer f.m.mu.Unlock()
	v, ok := f.n.attrs[name]
	if !ok {
		return nil, ErrNoAttr
	}
	return bytes.Clone(v), nil
}

func (f *memFile) SetAttr(name string, value []byte) error {
	if err := f.m.begin(Call{Op: "setxattr", Path: f.path, Name: name, Len: int64(len(value))}); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.m.do(f.n, memOp{kind: 'a', name: name, data: append([]byte{}, value...)})
	return nil
}

func (f *memFile) RemoveAttr(name string) error {
	if err := f.m.begin(Call{Op: "removexattr", Path: f.path, Name: name}); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	if _, ok := f.n.attrs[name]; !ok {
		return ErrNoAttr
	}
	f.m.do(f.n, memOp{kind: 'x', name: name})
	return nil
}

func (f *memFile) ListAttrs() ([]string, error) {
	if err := f.m.enter("listxattr", f.path); err != nil {
		return nil, err
	}
	defer f.m.mu.Unlock()
	return slices.Sorted(maps.Keys(f.n.attrs)), nil
}
