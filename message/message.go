package message

import (
	"errors"
	"fmt"

	"sepiola/msgr"
	"sepiola/wire"
)

// Errors of [Decode].
var (
	// ErrUnknownType: no message of that number is known here.
	ErrUnknownType = errors.New("unknown message type")
	// ErrVersion: the message is too new or too old to be read.
	ErrVersion = errors.New("unsupported message version")
)

// Priorities of messages (CEPH_MSG_PRIO_* in src/include/msgr.h). A queue of
// work serves higher ones first.
const (
	PrioLow     uint16 = 64
	PrioDefault uint16 = 127
	PrioHigh    uint16 = 196
	PrioHighest uint16 = 255
)

// Body is a message's content.
type Body interface {
	// Type returns the message's number, one of the Msg constants.
	Type() uint16
	// Encode writes the fields. The header is filled in already, with what the
	// registry says; an encoder changes it where the message decides itself.
	Encode(o *Out)
	// Decode reads the fields of a message whose version was checked. It
	// reports errors through the decoder.
	Decode(in *In)
}

// Header is what a body can say about the message that carries it.
type Header struct {
	// TID pairs a request with its reply. It is the sender's choice.
	TID      uint64
	Priority uint16
	// Version is that of the encoding; CompatVersion the oldest a reader must know.
	Version, CompatVersion uint16
	// DataOff is where the data belongs in a page of the receiver's memory: the
	// offset of the read or write, modulo 65536.
	DataOff uint16
}

// Out is what a body encodes into: the front segment through the embedded
// encoder, the other segments and the header directly.
type Out struct {
	*wire.Encoder
	Header
	Middle, Data wire.Buf
}

// In is what a body decodes from.
type In struct {
	*wire.Decoder
	Header
	Middle, Data wire.Buf
}

// Entry describes one message to the registry.
type Entry struct {
	Type uint16
	// Name is Ceph's type name, for logs.
	Name string
	// Version is the header version written and the newest understood;
	// Compat the oldest version a reader must know to read it.
	Version, Compat uint16
	// Oldest is the oldest header version that is read here. Ceph 14 sends none
	// older.
	Oldest uint16
	// Priority is that of a message which does not choose its own. What only
	// monitors send has PrioHigh, the default of Ceph's monitors for all.
	Priority uint16
	New      func() Body
}

// A registry is built while the package is initialised and never changes
// afterwards.
var registry map[uint16]*Entry

// register adds the messages of one conversation. Each file with a table calls
// it once, as the initialiser of a package variable.
func register(table []Entry) bool {
	if registry == nil {
		registry = make(map[uint16]*Entry)
	}
	for i := range table {
		t := &table[i]
		if old := registry[t.Type]; old != nil {
			panic(fmt.Sprintf("message type %d registered twice: %s and %s", t.Type, old.Name, t.Name))
		}
		registry[t.Type] = t
	}
	return true
}

// Lookup returns what the registry holds about a message number; nil if
// nothing.
func Lookup(typ uint16) *Entry { return registry[typ] }

// TypeName returns Ceph's name of a message number, or "message N" for one not
// known here.
func TypeName(typ uint16) string {
	if t := registry[typ]; t != nil {
		return t.Name
	}
	return fmt.Sprintf("message %d", typ)
}

// frontSize is the room an encoder starts with: enough for most messages.
const frontSize = 512

// Encode makes the message that carries b to a peer with the given features
// (see [wire.Encoder]). It panics if b's type is not registered.
func Encode(b Body, features uint64) *msgr.Message {
	t := registry[b.Type()]
	o := Out{
		Encoder: wire.NewEncoder(frontSize),
		Header:  Header{Priority: t.Priority, Version: t.Version, CompatVersion: t.Compat},
	}
	o.Features = features
	b.Encode(&o)
	return &msgr.Message{
		Type:          t.Type,
		Priority:      o.Priority,
		Version:       o.Version,
		CompatVersion: o.CompatVersion,
		TID:           o.TID,
		DataOff:       o.DataOff,
		Front:         wire.BufOf(o.Bytes()),
		Middle:        o.Middle,
		Data:          o.Data,
	}
}

// Decode returns the body of a message. The error names the type and version;
// it wraps [ErrUnknownType], [ErrVersion], or an error of the decoder.
func Decode(m *msgr.Message) (Body, error) {
	t := registry[m.Type]
	if t == nil {
		return nil, fmt.Errorf("%w %d", ErrUnknownType, m.Type)
	}
	if m.CompatVersion > t.Version {
		return nil, fmt.Errorf("%w: %s of version %d needs a reader of version %d, this one reads up to %d",
			ErrVersion, t.Name, m.Version, m.CompatVersion, t.Version)
	}
	if m.Version < t.Oldest {
		return nil, fmt.Errorf("%w: %s of version %d, the oldest read is %d", ErrVersion, t.Name, m.Version, t.Oldest)
	}
	in := In{
		Decoder: wire.NewDecoder(m.Front.Flat()),
		Header: Header{TID: m.TID, Priority: m.Priority, Version: m.Version,
			CompatVersion: m.CompatVersion, DataOff: m.DataOff},
		Middle: m.Middle,
		Data:   m.Data,
	}
	b := t.New()
	b.Decode(&in)
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%s version %d: %w", t.Name, m.Version, err)
	}
	return b, nil
}

// setPriority overrides the usual priority unless p is zero.
func (o *Out) setPriority(p uint16) {
	if p != 0 {
		o.Priority = p
	}
}
