package message

import (
	"time"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

// ListEntry is one object of a listing (librados::ListObjectImpl).
type ListEntry struct {
	Namespace, Name, Key string
}

// PGNLsResponse is the output of PGNLS (pg_nls_response_t). Handle is where to
// go on; it is the greatest id when the PG is exhausted.
type PGNLsResponse struct {
	Handle  object.ID
	Entries []ListEntry
}

// Encode appends pg_nls_response_t, version 1.
func (r *PGNLsResponse) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	r.Handle.Encode(e)
	wire.Slice(e, r.Entries, func(e *wire.Encoder, l ListEntry) {
		e.String(l.Namespace)
		e.String(l.Name)
		e.String(l.Key)
	})
	e.End(m)
}

// DecodePGNLsResponse reads pg_nls_response_t.
func DecodePGNLsResponse(d *wire.Decoder) PGNLsResponse {
	s := d.Begin(1)
	defer d.End(s)
	return PGNLsResponse{object.DecodeID(d), wire.ReadSlice(d, 12, func(d *wire.Decoder) ListEntry {
		return ListEntry{d.String(), d.String(), d.String()}
	})}
}

// PGLsResponse is the output of PGLS (pg_ls_response_t), which knows no
// namespaces.
type PGLsResponse struct {
	Handle  object.ID
	Entries []ListEntry // Namespace is not sent
}

// Encode appends pg_ls_response_t.
func (r *PGLsResponse) Encode(e *wire.Encoder) {
	e.U8(1)
	r.Handle.Encode(e)
	wire.Slice(e, r.Entries, func(e *wire.Encoder, l ListEntry) {
		e.String(l.Name)
		e.String(l.Key)
	})
}

// DecodePGLsResponse reads pg_ls_response_t.
func DecodePGLsResponse(d *wire.Decoder) PGLsResponse {
	if v := d.U8(); d.Err() == nil && v != 1 {
		d.Fail("listing of version %d", v)
	}
	return PGLsResponse{object.DecodeID(d), wire.ReadSlice(d, 8, func(d *wire.Decoder) ListEntry {
		return ListEntry{Name: d.String(), Key: d.String()}
	})}
}

// WatchItem is one watcher of an object (watch_item_t).
type WatchItem struct {
	Name    entity.Name
	Cookie  uint64
	Timeout uint32 // seconds
	Addr    entity.Addr
}

// ListWatchersResponse is the output of LIST_WATCHERS
// (obj_list_watch_response_t).
type ListWatchersResponse struct{ Entries []WatchItem }

// Encode appends obj_list_watch_response_t, version 1.
func (r *ListWatchersResponse) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	wire.Slice(e, r.Entries, func(e *wire.Encoder, w WatchItem) {
		m := e.Begin(2, 1)
		w.Name.Encode(e)
		e.U64(w.Cookie)
		e.U32(w.Timeout)
		w.Addr.Encode(e)
		e.End(m)
	})
	e.End(m)
}

// DecodeListWatchersResponse reads obj_list_watch_response_t.
func DecodeListWatchersResponse(d *wire.Decoder) ListWatchersResponse {
	s := d.Begin(1)
	defer d.End(s)
	return ListWatchersResponse{wire.ReadSlice(d, 27, func(d *wire.Decoder) WatchItem {
		s := d.Begin(2)
		defer d.End(s)
		w := WatchItem{Name: entity.DecodeName(d), Cookie: d.U64(), Timeout: d.U32()}
		if s.Version >= 2 {
			w.Addr = entity.DecodeAddr(d)
		}
		return w
	})}
}

// CloneInfo is one clone of an object, or its head, as LIST_SNAPS shows it
// (clone_info).
type CloneInfo struct {
	ID      object.SnapID   // NoSnap for the head
	Snaps   []object.SnapID // ascending
	Overlap []pglog.Range   // bytes shared with the next newer clone or the head
	Size    uint64
}

// ListSnapsResponse is the output of LIST_SNAPS (obj_list_snap_response_t).
type ListSnapsResponse struct {
	Clones []CloneInfo // ascending
	Seq    object.SnapID
}

// Encode appends obj_list_snap_response_t, version 2.
func (r *ListSnapsResponse) Encode(e *wire.Encoder) {
	m := e.Begin(2, 1)
	wire.Slice(e, r.Clones, func(e *wire.Encoder, c CloneInfo) {
		m := e.Begin(1, 1)
		e.U64(uint64(c.ID))
		wire.Slice(e, c.Snaps, putSnap)
		wire.Slice(e, c.Overlap, func(e *wire.Encoder, r pglog.Range) {
			e.U64(r.Start)
			e.U64(r.Len)
		})
		e.U64(c.Size)
		e.End(m)
	})
	e.U64(uint64(r.Seq))
	e.End(m)
}

// DecodeListSnapsResponse reads obj_list_snap_response_t.
func DecodeListSnapsResponse(d *wire.Decoder) ListSnapsResponse {
	s := d.Begin(2)
	defer d.End(s)
	r := ListSnapsResponse{Clones: wire.ReadSlice(d, 30, decodeCloneInfo), Seq: object.NoSnap}
	if s.Version >= 2 {
		r.Seq = object.SnapID(d.U64())
	}
	return r
}

func decodeCloneInfo(d *wire.Decoder) CloneInfo {
	s := d.Begin(1)
	defer d.End(s)
	return CloneInfo{
		ID: object.SnapID(d.U64()), Snaps: wire.ReadSlice(d, 8, getSnap),
		Overlap: wire.ReadSlice(d, 16, func(d *wire.Decoder) pglog.Range { return pglog.Range{Start: d.U64(), Len: d.U64()} }),
		Size:    d.U64(),
	}
}

// NotifyRequest is the input of NOTIFY (PrimaryLogPG::do_osd_ops). An OSD answers
// with its 8-byte notify id as the operation's output.
type NotifyRequest struct {
	Version uint32 // 1
	Timeout uint32 // seconds; 0 means the OSD's default
	Payload []byte
}

// Encode appends the input of NOTIFY.
func (r *NotifyRequest) Encode(e *wire.Encoder) {
	e.U32(r.Version)
	e.U32(r.Timeout)
	e.Blob(r.Payload)
}

// DecodeNotifyRequest reads the input of NOTIFY.
func DecodeNotifyRequest(d *wire.Decoder) NotifyRequest {
	return NotifyRequest{d.U32(), d.U32(), d.Blob()}
}

// NotifyAck is the input of NOTIFY_ACK.
type NotifyAck struct {
	NotifyID uint64 // from the [WatchNotify]
	Cookie   uint64 // of the watch
	Payload  []byte // for the notifier
}

// Encode appends the input of NOTIFY_ACK.
func (a *NotifyAck) Encode(e *wire.Encoder) {
	e.U64(a.NotifyID)
	e.U64(a.Cookie)
	e.Blob(a.Payload)
}

// DecodeNotifyAck reads the input of NOTIFY_ACK; clients of long ago end it
// before the payload.
func DecodeNotifyAck(d *wire.Decoder) NotifyAck {
	a := NotifyAck{NotifyID: d.U64(), Cookie: d.U64()}
	if d.Left() > 0 {
		a.Payload = d.Blob()
	}
	return a
}

// Watcher names a watch: the client's global id and its cookie.
type Watcher struct{ GID, Cookie uint64 }

// WatcherReply is what one watcher answered to a notify.
type WatcherReply struct {
	Watcher
	Payload []byte
}

// NotifyReply is the data of a complete notify: who answered, in order of
// gid and cookie, and who did not in time.
type NotifyReply struct {
	Replies  []WatcherReply
	TimedOut []Watcher
}

// Encode appends the reply.
func (r *NotifyReply) Encode(e *wire.Encoder) {
	wire.Slice(e, r.Replies, func(e *wire.Encoder, w WatcherReply) {
		e.U64(w.GID)
		e.U64(w.Cookie)
		e.Blob(w.Payload)
	})
	wire.Slice(e, r.TimedOut, func(e *wire.Encoder, w Watcher) {
		e.U64(w.GID)
		e.U64(w.Cookie)
	})
}

// DecodeNotifyReply reads the reply.
func DecodeNotifyReply(d *wire.Decoder) NotifyReply {
	return NotifyReply{
		wire.ReadSlice(d, 20, func(d *wire.Decoder) WatcherReply {
			return WatcherReply{Watcher{d.U64(), d.U64()}, d.Blob()}
		}),
		wire.ReadSlice(d, 16, func(d *wire.Decoder) Watcher { return Watcher{d.U64(), d.U64()} }),
	}
}

// CopyCursor says how far a copy has come (object_copy_cursor_t).
type CopyCursor struct {
	DataOffset   uint64
	OmapOffset   string
	AttrComplete bool
	DataComplete bool
	OmapComplete bool
}

// Done reports whether nothing is left to copy.
func (c *CopyCursor) Done() bool { return c.AttrComplete && c.DataComplete && c.OmapComplete }

// Encode appends object_copy_cursor_t, version 1.
func (c *CopyCursor) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.Bool(c.AttrComplete)
	e.U64(c.DataOffset)
	e.Bool(c.DataComplete)
	e.String(c.OmapOffset)
	e.Bool(c.OmapComplete)
	e.End(m)
}

// DecodeCopyCursor reads object_copy_cursor_t.
func DecodeCopyCursor(d *wire.Decoder) CopyCursor {
	s := d.Begin(1)
	defer d.End(s)
	return CopyCursor{AttrComplete: d.Bool(), DataOffset: d.U64(), DataComplete: d.Bool(),
		OmapOffset: d.String(), OmapComplete: d.Bool()}
}

// CopyGetRequest is the input of COPY_GET: where to go on, and the most bytes
// wanted.
type CopyGetRequest struct {
	Cursor CopyCursor
	Max    uint64
}

// Encode appends the input of COPY_GET.
func (r *CopyGetRequest) Encode(e *wire.Encoder) {
	r.Cursor.Encode(e)
	e.U64(r.Max)
}

// DecodeCopyGetRequest reads the input of COPY_GET.
func DecodeCopyGetRequest(d *wire.Decoder) CopyGetRequest {
	return CopyGetRequest{DecodeCopyCursor(d), d.U64()}
}

// CopySource is the input of COPY_FROM and, with Truncate, of COPY_FROM2: the
// object to copy.
type CopySource struct {
	Name     string
	Locator  object.Locator
	Truncate *CopyTruncate // nil for COPY_FROM
}

// CopyTruncate is what COPY_FROM2 sets the copy's truncation to.
type CopyTruncate struct {
	Seq  uint32
	Size uint64
}

// Encode appends the input.
func (c *CopySource) Encode(e *wire.Encoder) {
	e.String(c.Name)
	c.Locator.Encode(e)
	if c.Truncate != nil {
		e.U32(c.Truncate.Seq)
		e.U64(c.Truncate.Size)
	}
}

// DecodeCopySource reads the input of either.
func DecodeCopySource(d *wire.Decoder) CopySource {
	c := CopySource{Name: d.String(), Locator: object.DecodeLocator(d)}
	if d.Left() > 0 {
		c.Truncate = &CopyTruncate{d.U32(), d.U64()}
	}
	return c
}

// Flags of [CopyData].
const (
	CopyDataDigest uint32 = 1 // DataDigest holds
	CopyOmapDigest uint32 = 2 // OmapDigest holds
)

// CopyReqID is a request remembered on the object copied.
type CopyReqID struct {
	ReqID       pglog.ReqID
	UserVersion uint64
}

// CopyData is the output of COPY_GET: a part of an object (object_copy_data_t).
type CopyData struct {
	Cursor                 CopyCursor // where to go on
	Size                   uint64
	MTime                  time.Time
	Attrs                  map[string][]byte
	Data                   []byte
	OmapHeader             []byte
	OmapData               []byte // encoded map of keys to values; empty for none
	Snaps                  []object.SnapID
	SnapSeq                object.SnapID
	Flags                  uint32
	DataDigest, OmapDigest uint32
	ReqIDs                 []CopyReqID
	ReturnCodes            map[uint32]int32 // by index into ReqIDs
	TruncateSeq            uint64
	TruncateSize           uint64
}

// Encode appends object_copy_data_t, version 8.
func (c *CopyData) Encode(e *wire.Encoder) {
	m := e.Begin(8, 5)
	e.U64(c.Size)
	e.Time(c.MTime)
	wire.Map(e, c.Attrs, wire.PutString, wire.PutBlob)
	e.Blob(c.Data)
	e.Blob(c.OmapData)
	c.Cursor.Encode(e)
	e.Blob(c.OmapHeader)
	wire.Slice(e, c.Snaps, putSnap)
	e.U64(uint64(c.SnapSeq))
	e.U32(c.Flags)
	e.U32(c.DataDigest)
	e.U32(c.OmapDigest)
	wire.Slice(e, c.ReqIDs, func(e *wire.Encoder, r CopyReqID) {
		r.ReqID.Encode(e)
		e.U64(r.UserVersion)
	})
	e.U64(c.TruncateSeq)
	e.U64(c.TruncateSize)
	wire.Map(e, c.ReturnCodes, wire.PutU32, wire.PutI32)
	e.End(m)
}

// DecodeCopyData reads object_copy_data_t, version 8 and later.
func DecodeCopyData(d *wire.Decoder) CopyData {
	s := d.Begin(8)
	defer d.End(s)
	if d.Err() == nil && s.Version < 8 {
		d.Fail("object copy of version %d", s.Version)
	}
	c := CopyData{Size: d.U64(), MTime: d.Time(), Attrs: wire.ReadMap(d, 8, wire.GetString, wire.GetBlob),
		Data: d.Blob(), OmapData: d.Blob()}
	c.Cursor = DecodeCopyCursor(d)
	c.OmapHeader = d.Blob()
	c.Snaps = wire.ReadSlice(d, 8, getSnap)
	c.SnapSeq = object.SnapID(d.U64())
	c.Flags, c.DataDigest, c.OmapDigest = d.U32(), d.U32(), d.U32()
	c.ReqIDs = wire.ReadSlice(d, 35, func(d *wire.Decoder) CopyReqID {
		return CopyReqID{pglog.DecodeReqID(d), d.U64()}
	})
	c.TruncateSeq, c.TruncateSize = d.U64(), d.U64()
	c.ReturnCodes = wire.ReadMap(d, 8, wire.GetU32, wire.GetI32)
	return c
}
