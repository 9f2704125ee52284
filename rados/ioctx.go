package rados

import (
	"context"
	"time"

	"sepiola/message"
	"sepiola/object"
)

// IOCtx is where objects are: a pool, and within it a namespace, a locator key and a
// snapshot to read. It is a value that is not changed: the With methods return
// another one. It is safe for concurrent use.
type IOCtx struct {
	c         *Client
	pool      int64
	name      string
	namespace string
	locator   string
	snap      object.SnapID
	snapSeq   object.SnapID
	snaps     []object.SnapID
	flags     message.OpFlags
}

// AllNamespaces, as a namespace, makes [IOCtx.List] return the objects of every
// namespace (LIBRADOS_ALL_NSPACES). Nothing else is to be done in it.
const AllNamespaces = "\x01"

// Pool opens a pool by name. A name that the map at hand does not know is looked for
// in the monitors' newest one; the error is ENOENT.
func (c *Client) Pool(ctx context.Context, name string) (*IOCtx, error) {
	id, err := c.PoolID(ctx, name)
	if err != nil {
		return nil, err
	}
	return &IOCtx{c: c, pool: id, name: name, snap: object.NoSnap}, nil
}

// PoolByID opens a pool by number; else like Pool.
func (c *Client) PoolByID(ctx context.Context, id int64) (*IOCtx, error) {
	if c.Map().Pools[id] == nil {
		if err := c.RefreshMap(ctx); err != nil {
			return nil, err
		}
	}
	m := c.Map()
	if m.Pools[id] == nil {
		return nil, errNoEntry
	}
	return &IOCtx{c: c, pool: id, name: m.PoolNames[id], snap: object.NoSnap}, nil
}

// PoolID returns a pool's number; errors are those of Pool.
func (c *Client) PoolID(ctx context.Context, name string) (int64, error) {
	if id, ok := c.Map().PoolID(name); ok {
		return id, nil
	}
	if err := c.RefreshMap(ctx); err != nil {
		return 0, err
	}
	if id, ok := c.Map().PoolID(name); ok {
		return id, nil
	}
	return 0, errNoEntry
}

// Client returns the client it belongs to.
func (x *IOCtx) Client() *Client { return x.c }

// PoolID returns the pool's number.
func (x *IOCtx) PoolID() int64 { return x.pool }

// PoolName returns the name the pool was opened by.
func (x *IOCtx) PoolName() string { return x.name }

// Namespace returns the namespace; empty for the default one.
func (x *IOCtx) Namespace() string { return x.namespace }

// WithNamespace returns a context in another namespace of the pool.
func (x *IOCtx) WithNamespace(ns string) *IOCtx {
	y := *x
	y.namespace = ns
	return &y
}

// WithLocator returns a context whose objects are placed by key instead of by their
// names; empty undoes that.
func (x *IOCtx) WithLocator(key string) *IOCtx {
	y := *x
	y.locator = key
	return &y
}

// WithSnap returns a context that reads a snapshot. Writes through it are refused
// with EROFS.
func (x *IOCtx) WithSnap(s object.SnapID) *IOCtx {
	y := *x
	y.snap = s
	return &y
}

// WithSnapContext returns a context that writes with a snapshot context of the
// user's own (self-managed snapshots): the newest snapshot, and all of them, newest
// first.
func (x *IOCtx) WithSnapContext(seq object.SnapID, snaps []object.SnapID) *IOCtx {
	y := *x
	y.snapSeq, y.snaps = seq, snaps
	return &y
}

// WithFlags returns a context whose operations carry flags in addition, such as
// FlagFullTry.
func (x *IOCtx) WithFlags(f message.OpFlags) *IOCtx {
	y := *x
	y.flags |= f
	return &y
}

func (x *IOCtx) request(name string, o *Op) (Request, error) {
	req := Request{
		Pool: x.pool, Object: name, Locator: x.locator, Namespace: x.namespace, Snap: x.snap,
		Ops: o.subs, Flags: x.flags | message.FlagRead, MTime: o.mtime, SnapSeq: x.snapSeq, Snaps: x.snaps,
	}
	switch {
	case name == "":
		return req, errInvalid // it would be a request for a placement group
	case o.writes && x.snap != object.NoSnap:
		return req, errReadOnly
	case o.writes:
		req.Flags = x.flags | message.FlagWrite
	}
	return req, nil
}

// Operate carries out a compound operation on an object: all of it or, where it
// writes and is refused, nothing. Outputs are where the steps were told to put
// them. The error is that of the whole; see [Op.RVal] for those of the steps.
func (x *IOCtx) Operate(ctx context.Context, name string, o *Op) error {
	req, err := x.request(name, o)
	if err != nil {
		return err
	}
	reply, err := x.c.Do(ctx, req)
	return o.finish(reply, err)
}

// Pending is an operation that was started.
type Pending struct {
	comp *Completion
	op   *Op
}

// Start begins a compound operation. Operations on one object are applied in the
// order in which they were started.
func (x *IOCtx) Start(ctx context.Context, name string, o *Op) (*Pending, error) {
	req, err := x.request(name, o)
	if err != nil {
		return nil, err
	}
	comp, err := x.c.Start(ctx, req)
	if err != nil {
		return nil, err
	}
	return &Pending{comp, o}, nil
}

// Done is closed when the operation has been answered or given up.
func (p *Pending) Done() <-chan struct{} { return p.comp.Done() }

// Wait waits for the operation and returns what Operate would. It is to be called by
// one goroutine, once.
func (p *Pending) Wait() error { return p.op.finish(p.comp.Result()) }

// Read returns up to n bytes from off on; fewer at the end of the object, none
// behind it.
func (x *IOCtx) Read(ctx context.Context, name string, off, n uint64) ([]byte, error) {
	var p []byte
	err := x.Operate(ctx, name, new(Op).Read(off, n, &p))
	return p, err
}

// Write writes p at off; a gap before it reads as zeros.
func (x *IOCtx) Write(ctx context.Context, name string, off uint64, p []byte) error {
	return x.Operate(ctx, name, new(Op).Write(off, p))
}

// WriteFull replaces the object's data by p.
func (x *IOCtx) WriteFull(ctx context.Context, name string, p []byte) error {
	return x.Operate(ctx, name, new(Op).WriteFull(p))
}

// Append writes p at the end of the object.
func (x *IOCtx) Append(ctx context.Context, name string, p []byte) error {
	return x.Operate(ctx, name, new(Op).Append(p))
}

// Truncate sets the object's size in bytes.
func (x *IOCtx) Truncate(ctx context.Context, name string, size uint64) error {
	return x.Operate(ctx, name, new(Op).Truncate(size))
}

// Zero makes n bytes from off on read as zeros, freeing their space.
func (x *IOCtx) Zero(ctx context.Context, name string, off, n uint64) error {
	return x.Operate(ctx, name, new(Op).Zero(off, n))
}

// Create makes an empty object; one that exists is EEXIST if exclusive, else left as
// it is.
func (x *IOCtx) Create(ctx context.Context, name string, exclusive bool) error {
	return x.Operate(ctx, name, new(Op).Create(exclusive))
}

// Remove removes the object.
func (x *IOCtx) Remove(ctx context.Context, name string) error {
	return x.Operate(ctx, name, new(Op).Remove())
}

// Stat returns the object's size in bytes and the time of its last change.
func (x *IOCtx) Stat(ctx context.Context, name string) (size uint64, mtime time.Time, err error) {
	err = x.Operate(ctx, name, new(Op).Stat(&size, &mtime))
	return size, mtime, err
}

// GetXattr returns an attribute; ENODATA if there is none of that name.
func (x *IOCtx) GetXattr(ctx context.Context, name, attr string) ([]byte, error) {
	var v []byte
	err := x.Operate(ctx, name, new(Op).GetXattr(attr, &v))
	return v, err
}

// Xattrs returns all attributes.
func (x *IOCtx) Xattrs(ctx context.Context, name string) (map[string][]byte, error) {
	var m map[string][]byte
	err := x.Operate(ctx, name, new(Op).GetXattrs(&m))
	return m, err
}

// SetXattr sets an attribute, creating the object if need be.
func (x *IOCtx) SetXattr(ctx context.Context, name, attr string, value []byte) error {
	return x.Operate(ctx, name, new(Op).SetXattr(attr, value))
}

// RmXattr removes an attribute. That there is none is no error.
func (x *IOCtx) RmXattr(ctx context.Context, name, attr string) error {
	return x.Operate(ctx, name, new(Op).RmXattr(attr))
}

// OmapVals returns up to n keys that come after the given one and begin with prefix,
// with their values. OSDs return fewer than n at times; More of the page tells
// whether to go on.
func (x *IOCtx) OmapVals(ctx context.Context, name, after, prefix string, n uint64) (OmapPage, error) {
	var p OmapPage
	err := x.Operate(ctx, name, new(Op).OmapVals(after, prefix, n, &p))
	return p, err
}

// OmapKeys is OmapVals without values.
func (x *IOCtx) OmapKeys(ctx context.Context, name, after string, n uint64) (keys []string, more bool, err error) {
	err = x.Operate(ctx, name, new(Op).OmapKeys(after, n, &keys, &more))
	return keys, more, err
}

// OmapValsByKeys returns the values of those keys that there are.
func (x *IOCtx) OmapValsByKeys(ctx context.Context, name string, keys ...string) (map[string][]byte, error) {
	var m map[string][]byte
	err := x.Operate(ctx, name, new(Op).OmapValsByKeys(keys, &m))
	return m, err
}

// OmapSet sets keys, creating the object if need be.
func (x *IOCtx) OmapSet(ctx context.Context, name string, values map[string][]byte) error {
	return x.Operate(ctx, name, new(Op).OmapSet(values))
}

// OmapRmKeys removes keys. That one is not there is no error.
func (x *IOCtx) OmapRmKeys(ctx context.Context, name string, keys ...string) error {
	return x.Operate(ctx, name, new(Op).OmapRmKeys(keys))
}

// OmapClear removes all keys and the header.
func (x *IOCtx) OmapClear(ctx context.Context, name string) error {
	return x.Operate(ctx, name, new(Op).OmapClear())
}

// OmapHeader returns the omap's header.
func (x *IOCtx) OmapHeader(ctx context.Context, name string) ([]byte, error) {
	var p []byte
	err := x.Operate(ctx, name, new(Op).OmapHeader(&p))
	return p, err
}

// OmapSetHeader sets the omap's header, creating the object if need be.
func (x *IOCtx) OmapSetHeader(ctx context.Context, name string, p []byte) error {
	return x.Operate(ctx, name, new(Op).OmapSetHeader(p))
}

// Copy makes name a copy of the object src in from, with attributes and omap. The
// OSDs do it among themselves.
func (x *IOCtx) Copy(ctx context.Context, name string, from *IOCtx, src string) error {
	return x.Operate(ctx, name, new(Op).CopyFrom(from, src, 0))
}
