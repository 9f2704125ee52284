package ops

import (
	"slices"

	"sepiola/message"
	"sepiola/wire"
)

var execOps = map[message.OSDOpCode]handler{message.OpCall: call}

// MethodFlags say how a class method uses the object (CLS_METHOD_*).
type MethodFlags int

// The flags of methods.
const (
	MethodRead    MethodFlags = 1
	MethodWrite   MethodFlags = 2
	MethodPromote MethodFlags = 8
)

// Method is one method of an object class. It works through the context's
// operations and returns its output and result.
type Method interface {
	Flags() MethodFlags
	Exec(c *Context, in []byte) (out wire.Buf, result int32)
}

// Classes finds object classes.
type Classes interface {
	// Method returns a method; hasClass is false if there is no such class, and the
	// method nil if the class lacks it.
	Method(class, method string) (m Method, hasClass bool)
}

// parseCall splits the input of CALL into class, method and the method's input.
func parseCall(op *message.SubOp) (class, method string, in []byte, ok bool) {
	x, p := op.Args.Call(), op.In.Flat()
	names := int(x.ClassLen) + int(x.MethodLen)
	if names > len(p) || uint64(x.InDataLen) > uint64(len(p)-names) {
		return "", "", nil, false
	}
	return string(p[:x.ClassLen]), string(p[x.ClassLen:names]), p[names : names+int(x.InDataLen)], true
}

func findMethod(classes Classes, op *message.SubOp) (m Method, in []byte, result int32) {
	class, method, in, ok := parseCall(op)
	if !ok {
		return nil, nil, EInval
	}
	known := false
	if classes != nil {
		m, known = classes.Method(class, method)
	}
	switch {
	case m != nil:
		return m, in, 0
	case !known && !slices.Contains(permittedClasses, class):
		return nil, nil, EPerm
	}
	return nil, nil, EOpNotSupp
}

// permittedClasses is the default of osd_class_load_list: a class that is not
// among them is refused with EPERM before anybody looks for it.
var permittedClasses = []string{"cephfs", "hello", "journal", "lock", "log", "numops", "otp", "rbd", "refcount",
	"rgw", "rgw_gc", "timeindex", "user", "version", "cas", "cmpomap", "queue", "2pc_queue", "fifo"}

func call(c *Context, op *message.SubOp) int32 {
	m, in, r := findMethod(c.Classes, op)
	if r < 0 {
		return r
	}
	flags := m.Flags()
	if flags&MethodWrite != 0 {
		c.UserModify = true
	}
	reads, writes := c.reads, c.writes
	out, result := m.Exec(c, in)
	if c.reads > reads && flags&MethodRead == 0 || c.writes > writes && flags&MethodWrite == 0 {
		return EIO // the method does what it did not declare
	}
	op.Out = out
	return result
}

// Use says what a request does with its object, from its operations' codes and
// the methods they call (OpInfo).
type Use struct {
	Read, Write bool
	Cache       bool // manages a cache tier
	PG          bool // concerns the whole PG
	// Ordered puts the request in order with writes although it may only read.
	Ordered bool
}

// WriteOrdered reports whether the request takes its place among the writes.
func (u Use) WriteOrdered() bool { return u.Write || u.Cache || u.Ordered }

// UseOf classifies a request. The result is EOPNOTSUPP for a class or method that
// does not exist, and EINVAL if nothing is asked.
func UseOf(req *message.OSDOp, classes Classes) (Use, int32) {
	u := Use{Ordered: req.Has(message.FlagRWOrdered)}
	for i := range req.Ops {
		op := &req.Ops[i]
		switch {
		case op.Op == message.OpWatch:
			u.Read = true
			if op.Args.Watch().Op == message.WatchPing {
				u.Ordered = true
			} else {
				u.Write = true
			}
			continue
		case op.Op == message.OpCall:
			m, _, r := findMethod(classes, op)
			if r < 0 {
				return u, r
			}
			u.Read = u.Read || m.Flags()&MethodRead != 0
			u.Write = u.Write || m.Flags()&MethodWrite != 0
			continue
		}
		u.Write = u.Write || op.Op.Writes()
		u.Read = u.Read || op.Op.Reads()
		u.PG = u.PG || op.Op.IsPG()
		u.Cache = u.Cache || op.Op.IsCache()
	}
	if u == (Use{}) {
		return u, EInval
	}
	return u, 0
}

// ReadsData reports whether any operation reads the object's content, so that a
// write must have it to itself (may_read_data).
func ReadsData(req *message.OSDOp) bool {
	for i := range req.Ops {
		switch req.Ops[i].Op {
		case message.OpRead, message.OpSyncRead, message.OpSparseRead, message.OpChecksum, message.OpCmpExt:
			return true
		}
	}
	return false
}
