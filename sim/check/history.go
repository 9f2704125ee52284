package check

import (
	"fmt"
	"strings"

	"sepiola/pglog"
)

// Kind is what a step does.
type Kind uint8

// The steps. Reads come before writes in an operation, and see the object as it
// was before the operation.
const (
	Read      Kind = iota // all data
	Stat                  // the size
	GetXattr              // of Key
	GetOmap               // all pairs
	CmpXattr              // Key equals Val, or ECANCELED
	AssertVer             // the user version is Version, or ERANGE or EOVERFLOW
	WriteFull             // Val
	Write                 // Val at Off
	Append                // Val
	Truncate              // to Off
	Zero                  // Len bytes at Off
	Remove
	Create     // whether or not it exists
	CreateExcl // or EEXIST
	SetXattr   // Key to Val
	RmXattr    // Key
	SetOmap    // Key to Val
	RmOmap     // Key
	ClearOmap
)

var kindNames = [...]string{"read", "stat", "getxattr", "getomap", "cmpxattr", "assertver", "writefull", "write",
	"append", "truncate", "zero", "remove", "create", "createexcl", "setxattr", "rmxattr", "setomap", "rmomap",
	"clearomap"}

// String names the kind.
func (k Kind) String() string { return kindNames[k] }

// Writes reports whether the step may change the object.
func (k Kind) Writes() bool { return k >= WriteFull }

// Step is one step of an operation.
type Step struct {
	Kind     Kind
	Off, Len uint64
	Key, Val string
	Version  uint64
}

// String shows the step with what it is about.
func (s Step) String() string {
	switch s.Kind {
	case GetXattr, RmXattr, RmOmap:
		return fmt.Sprintf("%v %s", s.Kind, s.Key)
	case SetXattr, SetOmap, CmpXattr:
		return fmt.Sprintf("%v %s=%s", s.Kind, s.Key, s.Val)
	case AssertVer:
		return fmt.Sprintf("%v %d", s.Kind, s.Version)
	case WriteFull, Append:
		return fmt.Sprintf("%v %s", s.Kind, s.Val)
	case Write:
		return fmt.Sprintf("%v %d %s", s.Kind, s.Off, s.Val)
	case Truncate:
		return fmt.Sprintf("%v %d", s.Kind, s.Off)
	case Zero:
		return fmt.Sprintf("%v %d~%d", s.Kind, s.Off, s.Len)
	}
	return s.Kind.String()
}

// Op is one client's operation and the answers to it.
type Op struct {
	Client int // from 0
	TID    uint64
	Object string
	Steps  []Step
	// Returns says that outputs are wanted of an operation that writes.
	Returns bool
	// Call is when it was first sent; times are numbers of events.
	Call int64
	// Sends counts how often it was sent.
	Sends int
	// Replies are the answers: one, and another for each time it was sent again
	// after it had been answered.
	Replies []Reply
}

// Writes reports whether the operation may change the object.
func (o *Op) Writes() bool {
	for _, s := range o.Steps {
		if s.Kind.Writes() {
			return true
		}
	}
	return false
}

// String shows the operation and what became of it.
func (o *Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client.%d:%d %s", o.Client, o.TID, o.Object)
	for _, s := range o.Steps {
		fmt.Fprintf(&b, " [%v]", s)
	}
	if len(o.Replies) == 0 {
		return b.String() + " unanswered"
	}
	r := &o.Replies[0]
	fmt.Fprintf(&b, " = %d v%v uv%d", r.Result, r.Version, r.UserVersion)
	for _, out := range r.Outs {
		if out.Data != "" {
			fmt.Fprintf(&b, " %q", out.Data)
		}
	}
	fmt.Fprintf(&b, " at %d..%d", o.Call, r.At)
	return b.String()
}

// Reply is one answer.
type Reply struct {
	At          int64
	Result      int32 // 0 or a negative errno
	Version     pglog.Version
	UserVersion uint64
	Outs        []Out // by step
}

// Out is a step's own result and output.
type Out struct {
	Result int32
	Data   string
}

// History are all operations of a run, in the order in which they were started.
type History []*Op

// ByObject returns the operations on each object, and the objects in the order of
// their first use.
func (h History) ByObject() (names []string, ops map[string]History) {
	ops = map[string]History{}
	for _, o := range h {
		if ops[o.Object] == nil {
			names = append(names, o.Object)
		}
		ops[o.Object] = append(ops[o.Object], o)
	}
	return names, ops
}
