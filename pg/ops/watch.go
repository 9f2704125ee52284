package ops

import (
	"maps"
	"time"

	"sepiola/message"
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

var watchOps = map[message.OSDOpCode]handler{
	message.OpWatch:     watch,
	message.OpNotify:    notify,
	message.OpNotifyAck: notifyAck,
}

// Watches is what the PG knows of the object's watchers beyond its metadata.
type Watches interface {
	// Ping notes that a watcher lives; false if it is not connected.
	Ping(id object.ID, key pglog.WatchKey) bool
	// NotifyID returns a number that names a notify, unique within the PG; false if
	// so many are under way, those of this request among them, that no more are taken.
	NotifyID(ofRequest int) (uint64, bool)
}

// WatchEffects is what a request does to an object's watchers. It happens once the
// request succeeded and what it changed is durable: disconnects first, then
// connects, notifies and acknowledgements (PrimaryLogPG::do_osd_op_effects).
type WatchEffects struct {
	Disconnects []WatchDisconnect
	Connects    []WatchConnect
	Notifies    []Notify
	Acks        []NotifyAck
}

// WatchDisconnect ends a watch. Tell says that the client is to hear of it.
type WatchDisconnect struct {
	Key  pglog.WatchKey
	Tell bool
}

// WatchConnect joins a watch to the connection the request came by. A client that
// WillPing loses its watch when it does not; any other, a while after its connection.
type WatchConnect struct {
	Key      pglog.WatchKey
	Info     pglog.WatchInfo
	WillPing bool
}

// Notify is to be told to all watchers.
type Notify struct {
	ID, Cookie uint64
	Timeout    time.Duration
	Payload    []byte
}

// NotifyAck is a watcher's answer to a notify. Clients of long ago do not say which
// of their watches answers: AnyWatch.
type NotifyAck struct {
	ID, Cookie uint64
	AnyWatch   bool
	Payload    []byte
}

// Any reports whether there is anything to do.
func (e *WatchEffects) Any() bool {
	return len(e.Disconnects)+len(e.Connects)+len(e.Notifies)+len(e.Acks) > 0
}

// watch adds or removes a watcher, or notes its connection. Watchers are a part of
// the object's metadata, so that a later primary expects them back.
func watch(c *Context, op *message.SubOp) int32 {
	c.writes++
	if !c.New.Exists {
		return ENoEnt
	}
	x := op.Args.Watch()
	key := pglog.WatchKey{Cookie: x.Cookie, Name: c.Client}
	oi := &c.New.Info
	_, known := oi.Watchers[key]
	info := pglog.WatchInfo{Cookie: x.Cookie, TimeoutSeconds: x.Timeout, Addr: c.ClientAddr}
	if info.TimeoutSeconds == 0 {
		info.TimeoutSeconds = c.Limits.ClientWatchTimeout
	}
	switch x.Op {
	case message.WatchWatch, message.WatchLegacy:
		if !known {
			if len(oi.Watchers) >= c.Limits.MaxWatchers {
				return EBusy
			}
			c.editWatchers()[key] = info
		}
		c.Watch.Connects = append(c.Watch.Connects, WatchConnect{key, info, x.Op == message.WatchWatch})
	case message.WatchReconnect:
		if !known {
			return ENotConn
		}
		c.Watch.Connects = append(c.Watch.Connects, WatchConnect{key, info, true})
	case message.WatchPing:
		if !known {
			return ENotConn
		}
		if c.Watches == nil || !c.Watches.Ping(c.Object, key) {
			return ETimedOut
		}
	case message.WatchUnwatch:
		if known {
			delete(c.editWatchers(), key)
			c.Watch.Disconnects = append(c.Watch.Disconnects, WatchDisconnect{Key: key})
		}
	}
	return 0
}

// editWatchers returns the watchers for a change; those of the state before stay.
func (c *Context) editWatchers() map[pglog.WatchKey]pglog.WatchInfo {
	oi := &c.New.Info
	oi.Watchers = maps.Clone(oi.Watchers)
	if oi.Watchers == nil {
		oi.Watchers = map[pglog.WatchKey]pglog.WatchInfo{}
	}
	c.touch()
	return oi.Watchers
}

// dropWatchers ends all watches of an object that is removed.
func (c *Context) dropWatchers() {
	for _, key := range c.New.Info.WatchKeys() {
		c.Watch.Disconnects = append(c.Watch.Disconnects, WatchDisconnect{key, true})
	}
	c.New.Info.Watchers = nil
}

// notify answers the name of the notify at once; its completion is a message of its
// own.
func notify(c *Context, op *message.SubOp) int32 {
	c.reads++
	d := input(op)
	req := message.DecodeNotifyRequest(d)
	if d.Err() != nil {
		req = message.NotifyRequest{} // as the OSD does with what it cannot read
	}
	if req.Timeout == 0 {
		req.Timeout = c.Limits.DefaultNotifyExpiry
	}
	if c.Watches == nil {
		return EOpNotSupp
	}
	id, ok := c.Watches.NotifyID(len(c.Watch.Notifies))
	if !ok {
		return EBusy
	}
	c.Watch.Notifies = append(c.Watch.Notifies, Notify{ID: id, Cookie: op.Args.NotifyCookie(),
		Timeout: time.Duration(req.Timeout) * time.Second, Payload: req.Payload})
	e := wire.NewEncoder(8)
	e.U64(id)
	op.Out = wire.BufOf(e.Bytes())
	return 0
}

func notifyAck(c *Context, op *message.SubOp) int32 {
	c.reads++
	d := input(op)
	ack := message.DecodeNotifyAck(d)
	if d.Err() != nil {
		// Where a cookie belongs, clients of long ago put the name of the notify.
		c.Watch.Acks = append(c.Watch.Acks, NotifyAck{ID: op.Args.NotifyCookie(), AnyWatch: true})
		return 0
	}
	c.Watch.Acks = append(c.Watch.Acks, NotifyAck{ID: ack.NotifyID, Cookie: ack.Cookie, Payload: ack.Payload})
	return 0
}
