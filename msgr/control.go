package msgr

import (
	"sepiola/entity"
	"sepiola/wire"
)

// control is the payload of a frame that is not a message. The order of fields
// is that of the frame (src/msg/async/frames_v2.h).
type control interface {
	tag() tag
	encode(e *wire.Encoder)
}

type (
	helloFrame struct {
		kind     entity.Type
		peerAddr entity.Addr // how we see the peer
	}
	authRequestFrame struct {
		method  AuthMethod
		modes   []ConMode // preferred ones first
		payload []byte
	}
	authBadMethodFrame struct {
		method  AuthMethod
		result  int32 // negative errno
		methods []AuthMethod
		modes   []ConMode
	}
	authReplyMoreFrame   struct{ payload []byte }
	authRequestMoreFrame struct{ payload []byte }
	authDoneFrame        struct {
		globalID uint64
		mode     ConMode
		payload  []byte
	}
	authSignatureFrame [32]byte
	clientIdentFrame   struct {
		addrs               entity.AddrVec
		target              entity.Addr
		num                 int64
		globalSeq           uint64
		supported, required uint64
		flags               uint64
		cookie              uint64
	}
	serverIdentFrame struct {
		addrs               entity.AddrVec
		num                 int64
		globalSeq           uint64
		supported, required uint64
		flags               uint64
		cookie              uint64
	}
	identMissingFrame struct{ features uint64 }
	reconnectFrame    struct {
		addrs                      entity.AddrVec
		clientCookie, serverCookie uint64
		globalSeq, connectSeq      uint64
		msgSeq                     uint64 // the last one received
	}
	resetFrame       struct{ full bool }
	retryFrame       struct{ connectSeq uint64 }
	retryGlobalFrame struct{ globalSeq uint64 }
	reconnectOKFrame struct{ msgSeq uint64 }
	waitFrame        struct{}
	keepaliveFrame   struct{ stamp stamp }
	keepaliveAck     struct{ stamp stamp }
	ackFrame         struct{ seq uint64 }
)

// stamp is a utime_t passed through as it came.
type stamp struct{ sec, nsec uint32 }

// flagLossy in an ident's flags: the sender drops its state with the socket
// (CEPH_MSG_CONNECT_LOSSY).
const flagLossy = 1

func (*helloFrame) tag() tag           { return tagHello }
func (*authRequestFrame) tag() tag     { return tagAuthRequest }
func (*authBadMethodFrame) tag() tag   { return tagAuthBadMethod }
func (*authReplyMoreFrame) tag() tag   { return tagAuthReplyMore }
func (*authRequestMoreFrame) tag() tag { return tagAuthRequestMore }
func (*authDoneFrame) tag() tag        { return tagAuthDone }
func (*authSignatureFrame) tag() tag   { return tagAuthSignature }
func (*clientIdentFrame) tag() tag     { return tagClientIdent }
func (*serverIdentFrame) tag() tag     { return tagServerIdent }
func (*identMissingFrame) tag() tag    { return tagIdentMissingFeatures }
func (*reconnectFrame) tag() tag       { return tagSessionReconnect }
func (*resetFrame) tag() tag           { return tagSessionReset }
func (*retryFrame) tag() tag           { return tagSessionRetry }
func (*retryGlobalFrame) tag() tag     { return tagSessionRetryGlobal }
func (*reconnectOKFrame) tag() tag     { return tagSessionReconnectOK }
func (*waitFrame) tag() tag            { return tagWait }
func (*keepaliveFrame) tag() tag       { return tagKeepalive2 }
func (*keepaliveAck) tag() tag         { return tagKeepalive2Ack }
func (*ackFrame) tag() tag             { return tagAck }

func putEnum[T ~uint32](e *wire.Encoder, v T) { e.U32(uint32(v)) }
func getEnum[T ~uint32](d *wire.Decoder) T    { return T(d.U32()) }

func (f *helloFrame) encode(e *wire.Encoder) {
	e.U8(uint8(f.kind))
	f.peerAddr.Encode(e)
}

func (f *authRequestFrame) encode(e *wire.Encoder) {
	e.U32(uint32(f.method))
	wire.Slice(e, f.modes, putEnum[ConMode])
	e.Blob(f.payload)
}

func (f *authBadMethodFrame) encode(e *wire.Encoder) {
	e.U32(uint32(f.method))
	e.I32(f.result)
	wire.Slice(e, f.methods, putEnum[AuthMethod])
	wire.Slice(e, f.modes, putEnum[ConMode])
}

func (f *authReplyMoreFrame) encode(e *wire.Encoder)   { e.Blob(f.payload) }
func (f *authRequestMoreFrame) encode(e *wire.Encoder) { e.Blob(f.payload) }

func (f *authDoneFrame) encode(e *wire.Encoder) {
	e.U64(f.globalID)
	e.U32(uint32(f.mode))
	e.Blob(f.payload)
}

func (f *authSignatureFrame) encode(e *wire.Encoder) { e.Raw(f[:]) }

func (f *clientIdentFrame) encode(e *wire.Encoder) {
	f.addrs.Encode(e)
	f.target.Encode(e)
	e.I64(f.num)
	for _, v := range [...]uint64{f.globalSeq, f.supported, f.required, f.flags, f.cookie} {
		e.U64(v)
	}
}

func (f *serverIdentFrame) encode(e *wire.Encoder) {
	f.addrs.Encode(e)
	e.I64(f.num)
	for _, v := range [...]uint64{f.globalSeq, f.supported, f.required, f.flags, f.cookie} {
		e.U64(v)
	}
}

func (f *identMissingFrame) encode(e *wire.Encoder) { e.U64(f.features) }

func (f *reconnectFrame) encode(e *wire.Encoder) {
	f.addrs.Encode(e)
	for _, v := range [...]uint64{f.clientCookie, f.serverCookie, f.globalSeq, f.connectSeq, f.msgSeq} {
		e.U64(v)
	}
}

func (f *resetFrame) encode(e *wire.Encoder)       { e.Bool(f.full) }
func (f *retryFrame) encode(e *wire.Encoder)       { e.U64(f.connectSeq) }
func (f *retryGlobalFrame) encode(e *wire.Encoder) { e.U64(f.globalSeq) }
func (f *reconnectOKFrame) encode(e *wire.Encoder) { e.U64(f.msgSeq) }
func (f *waitFrame) encode(*wire.Encoder)          {}
func (f *ackFrame) encode(e *wire.Encoder)         { e.U64(f.seq) }

func (s stamp) encode(e *wire.Encoder) {
	e.U32(s.sec)
	e.U32(s.nsec)
}

func (f *keepaliveFrame) encode(e *wire.Encoder) { f.stamp.encode(e) }
func (f *keepaliveAck) encode(e *wire.Encoder)   { f.stamp.encode(e) }

// decodeControl reads a frame's payload. Bytes after what this program knows are
// passed over, as Ceph does. Nothing of the result shares p.
func decodeControl(t tag, p []byte) (control, error) {
	d := wire.NewDecoder(p)
	f := readControl(t, d)
	if err := d.Err(); err != nil {
		return nil, frameErrorf("%v: %v", t, err)
	}
	if f == nil {
		return nil, frameErrorf("%v is no control frame", t)
	}
	return f, nil
}

func readControl(t tag, d *wire.Decoder) control {
	switch t {
	case tagHello:
		return &helloFrame{entity.Type(d.U8()), entity.DecodeAddr(d)}
	case tagAuthRequest, tagAuthBadMethod, tagAuthReplyMore, tagAuthRequestMore, tagAuthDone, tagAuthSignature:
		return readAuthControl(t, d)
	case tagClientIdent:
		f := &clientIdentFrame{addrs: entity.DecodeAddrVec(d), target: entity.DecodeAddr(d), num: d.I64()}
		readU64s(d, &f.globalSeq, &f.supported, &f.required, &f.flags, &f.cookie)
		return f
	case tagServerIdent:
		f := &serverIdentFrame{addrs: entity.DecodeAddrVec(d), num: d.I64()}
		readU64s(d, &f.globalSeq, &f.supported, &f.required, &f.flags, &f.cookie)
		return f
	case tagIdentMissingFeatures:
		return &identMissingFrame{d.U64()}
	case tagSessionReconnect:
		f := &reconnectFrame{addrs: entity.DecodeAddrVec(d)}
		readU64s(d, &f.clientCookie, &f.serverCookie, &f.globalSeq, &f.connectSeq, &f.msgSeq)
		return f
	case tagSessionReset:
		return &resetFrame{d.Bool()}
	case tagSessionRetry:
		return &retryFrame{d.U64()}
	case tagSessionRetryGlobal:
		return &retryGlobalFrame{d.U64()}
	case tagSessionReconnectOK:
		return &reconnectOKFrame{d.U64()}
	case tagWait:
		return &waitFrame{}
	case tagKeepalive2:
		return &keepaliveFrame{stamp{d.U32(), d.U32()}}
	case tagKeepalive2Ack:
		return &keepaliveAck{stamp{d.U32(), d.U32()}}
	case tagAck:
		return &ackFrame{d.U64()}
	}
	return nil
}

func readAuthControl(t tag, d *wire.Decoder) control {
	switch t {
	case tagAuthRequest:
		return &authRequestFrame{AuthMethod(d.U32()), wire.ReadSlice(d, 4, getEnum[ConMode]), copyBlob(d)}
	case tagAuthBadMethod:
		return &authBadMethodFrame{AuthMethod(d.U32()), d.I32(),
			wire.ReadSlice(d, 4, getEnum[AuthMethod]), wire.ReadSlice(d, 4, getEnum[ConMode])}
	case tagAuthReplyMore:
		return &authReplyMoreFrame{copyBlob(d)}
	case tagAuthRequestMore:
		return &authRequestMoreFrame{copyBlob(d)}
	case tagAuthDone:
		return &authDoneFrame{d.U64(), ConMode(d.U32()), copyBlob(d)}
	}
	f := new(authSignatureFrame)
	copy(f[:], d.Raw(len(f)))
	return f
}

func readU64s(d *wire.Decoder, dst ...*uint64) {
	for _, p := range dst {
		*p = d.U64()
	}
}

func copyBlob(d *wire.Decoder) []byte { return append([]byte(nil), d.Blob()...) }

// frameBytes encodes a whole control frame.
func frameBytes(rev1 bool, f control) []byte {
	e := wire.NewEncoder(128)
	f.encode(e)
	return appendControl(make([]byte, 0, preambleLen+e.Len()+epilogueLenRev0), rev1, f.tag(), e.Bytes())
}

// The banner opens a connection, before any frame.
const (
	bannerPrefix     = "ceph v2\n"
	bannerLegacy     = "ceph v027"
	bannerHeadLen    = len(bannerPrefix) + 2
	bannerPayloadMin = 16
	// bannerPayloadMax bounds what a later version may add.
	bannerPayloadMax = 256

	// featureRevision1 is msgr2.1 (CEPH_MSGR2_FEATURE_REVISION_1), in a
	// namespace of its own.
	featureRevision1 = 1
)

type banner struct{ supported, required uint64 }

func (b banner) bytes() []byte {
	e := wire.NewEncoder(bannerHeadLen + bannerPayloadMin)
	e.Raw([]byte(bannerPrefix))
	e.U16(bannerPayloadMin)
	e.U64(b.supported)
	e.U64(b.required)
	return e.Bytes()
}
