package pg

import (
	"cmp"
	"slices"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/pg/ops"
	"sepiola/pglog"
	"sepiola/wire"
)

// Watches, as doc/dev/osd_internals/watch_notify.rst has them. Who watches an object
// is a part of its metadata; what is here is the rest: the connections, the times by
// which watchers must be heard of, and the notifies under way. It lasts as long as
// the interval. In the next one clients connect anew, and notify again what was not
// completed.

// watches are the watched objects of a PG.
type watches struct {
	objects    []*watchedObject // in order of discovery
	byID       map[object.ID]*watchedObject
	armed      time.Time // when the timer fires; zero if it is not set
	notifies   int       // under way
	lastNotify uint32
}

// watchedObject is an object with watchers, expected or connected.
type watchedObject struct {
	id       object.ID
	watchers []*watcher // in order of keys
	notifies []*notify  // under way, in order of arrival
}

// watcher is one watch.
type watcher struct {
	key      pglog.WatchKey
	addr     entity.Addr
	timeout  time.Duration
	session  Session // nil while it is not connected
	willPing bool
	lastPing time.Time
	deadline time.Time // when it is given up; zero for never
	expired  bool      // an operation to remove it is on its way
}

// notify is one call to all watchers that has not been answered by all.
type notify struct {
	id, cookie, version uint64
	gid                 uint64 // the notifier's
	to                  Session
	payload             []byte
	deadline            time.Time
	waiting             []*watcher
	replies             []message.WatcherReply
}

const (
	// notifiesMax bounds the notifies under way in one PG. Ceph has no bound.
	notifiesMax = 1024
	// watchTick is the least time between looks at the deadlines.
	watchTick = 100 * time.Millisecond
)

// opWatches is the PG as operations see it that ask about watchers.
type opWatches PG

// Ping implements [ops.Watches].
func (o *opWatches) Ping(id object.ID, key pglog.WatchKey) bool {
	p := (*PG)(o)
	w := p.active.watches.byID[id].find(key)
	if w == nil || w.session == nil {
		return false
	}
	p.alive(w)
	return true
}

// NotifyID implements [ops.Watches]. An interval has an epoch of its own.
func (o *opWatches) NotifyID(ofRequest int) (uint64, bool) {
	ws := &o.active.watches
	if ws.notifies+ofRequest >= notifiesMax {
		return 0, false
	}
	ws.lastNotify++
	return uint64(o.own.Info.History.SameIntervalSince)<<32 | uint64(ws.lastNotify), true
}

// watcherName is who watches by this operation.
func (op *clientOp) watcherName() entity.Name {
	if op.expires != nil {
		return op.expires.key.Name
	}
	return op.reqid.Name
}

func (o *watchedObject) find(key pglog.WatchKey) *watcher {
	if o == nil {
		return nil
	}
	if i, ok := slices.BinarySearchFunc(o.watchers, key, compareWatcher); ok {
		return o.watchers[i]
	}
	return nil
}

func compareWatcher(w *watcher, key pglog.WatchKey) int { return w.key.Compare(key) }

// adoptWatchers expects the watchers that an object's metadata names to connect, if
// they have not yet in this interval.
func (p *PG) adoptWatchers(o *objectContext) {
	oi := &o.state.Info
	if len(oi.Watchers) == 0 || !o.state.Exists || p.active.watches.byID[o.id] != nil {
		return
	}
	for _, key := range oi.WatchKeys() {
		w := p.addWatcher(o.id, key, oi.Watchers[key])
		p.setDeadline(&w.deadline, p.now.Add(w.timeout))
		p.checkBlocklisted(o.id, w)
	}
}

func (p *PG) addWatcher(id object.ID, key pglog.WatchKey, info pglog.WatchInfo) *watcher {
	ws := &p.active.watches
	o := ws.byID[id]
	if o == nil {
		o = &watchedObject{id: id}
		if ws.byID == nil {
			ws.byID = map[object.ID]*watchedObject{}
		}
		ws.byID[id] = o
		ws.objects = append(ws.objects, o)
	}
	w := &watcher{key: key, addr: info.Addr, timeout: time.Duration(info.TimeoutSeconds) * time.Second}
	i, _ := slices.BinarySearchFunc(o.watchers, key, compareWatcher)
	o.watchers = slices.Insert(o.watchers, i, w)
	return w
}

// watchEffects does what a request asks of an object's watchers.
func (p *PG) watchEffects(op *clientOp, o *objectContext, e *ops.WatchEffects) {
	if !e.Any() {
		return
	}
	ws := &p.active.watches
	for _, d := range e.Disconnects {
		p.removeWatcher(ws.byID[o.id], d.Key, d.Tell || op.expires != nil)
	}
	for _, c := range e.Connects {
		w := ws.byID[o.id].find(c.Key)
		if w == nil {
			w = p.addWatcher(o.id, c.Key, c.Info)
		}
		p.connectWatcher(ws.byID[o.id], w, op.From, c.WillPing)
	}
	for i := range e.Notifies {
		p.startNotify(op, o, &e.Notifies[i])
	}
	for i := range e.Acks {
		p.ackNotify(ws.byID[o.id], op.watcherName(), &e.Acks[i])
	}
	if w := ws.byID[o.id]; w != nil && len(w.watchers) == 0 {
		delete(ws.byID, o.id)
		ws.objects = slices.DeleteFunc(ws.objects, func(x *watchedObject) bool { return x == w })
	}
}

// alive notes a sign of life of a connected watcher.
func (p *PG) alive(w *watcher) {
	w.lastPing, w.expired = p.now, false
	p.setDeadline(&w.deadline, p.now.Add(w.timeout))
}

func (p *PG) connectWatcher(o *watchedObject, w *watcher, s Session, willPing bool) {
	w.expired = false
	if w.session == s {
		if w.willPing {
			p.alive(w)
		}
		return
	}
	w.session, w.willPing = s, willPing
	if s == nil { // it went before this was durable
		p.setDeadline(&w.deadline, p.now.Add(w.timeout))
		return
	}
	for _, n := range o.notifies {
		if slices.Contains(n.waiting, w) {
			p.tellWatcher(n, w)
		}
	}
	if w.willPing {
		p.alive(w)
	} else {
		w.deadline = time.Time{}
	}
}

// disconnectWatchers notes that a connection is gone. Watchers that ping are given
// the time since the last of it, others begin to count.
func (p *PG) disconnectWatchers(s Session) {
	for _, o := range p.active.watches.objects {
		for _, w := range o.watchers {
			if w.session != s {
				continue
			}
			w.session = nil
			if !w.willPing {
				p.setDeadline(&w.deadline, p.now.Add(w.timeout))
			}
		}
	}
}

// removeWatcher forgets a watch that its object's metadata names no more.
func (p *PG) removeWatcher(o *watchedObject, key pglog.WatchKey, tell bool) {
	w := o.find(key)
	if w == nil {
		return
	}
	if tell && w.session != nil {
		p.fx.add(Reply{w.session, &message.WatchNotify{Cookie: key.Cookie, Event: message.WatchEventDisconnect}})
	}
	o.watchers = slices.DeleteFunc(o.watchers, func(x *watcher) bool { return x == w })
	for _, n := range slices.Clone(o.notifies) {
		if i := slices.Index(n.waiting, w); i >= 0 {
			n.waiting = slices.Delete(n.waiting, i, i+1)
			p.maybeComplete(o, n)
		}
	}
}

// startNotify calls all watchers, connected or expected back. Those that ought to
// have pinged and have not are left out.
func (p *PG) startNotify(op *clientOp, o *objectContext, req *ops.Notify) {
	n := &notify{id: req.ID, cookie: req.Cookie, version: o.state.Info.UserVersion, gid: uint64(op.watcherName().Num),
		to: op.From, payload: req.Payload}
	watched := p.active.watches.byID[o.id]
	if watched == nil {
		watched = &watchedObject{id: o.id} // nobody to wait for
	}
	for _, w := range watched.watchers {
		if w.willPing && w.session != nil && p.now.Sub(w.lastPing) > w.timeout {
			w.session = nil
			continue
		}
		n.waiting = append(n.waiting, w)
		if w.session != nil {
			p.tellWatcher(n, w)
		}
	}
	watched.notifies = append(watched.notifies, n)
	p.active.watches.notifies++
	p.setDeadline(&n.deadline, p.now.Add(req.Timeout))
	p.maybeComplete(watched, n)
}

func (p *PG) tellWatcher(n *notify, w *watcher) {
	p.fx.add(Reply{w.session, &message.WatchNotify{Cookie: w.key.Cookie, Version: n.version, NotifyID: n.id,
		Event: message.WatchEventNotify, Payload: n.payload, NotifierGID: n.gid}})
}

// ackNotify takes a watcher's answer.
func (p *PG) ackNotify(o *watchedObject, from entity.Name, ack *ops.NotifyAck) {
	if o == nil {
		return
	}
	for _, w := range o.watchers {
		if w.key.Name != from || !ack.AnyWatch && w.key.Cookie != ack.Cookie {
			continue
		}
		for _, n := range slices.Clone(o.notifies) {
			i := slices.Index(n.waiting, w)
			if n.id != ack.ID || i < 0 {
				continue
			}
			n.waiting = slices.Delete(n.waiting, i, i+1)
			n.replies = append(n.replies, message.WatcherReply{Watcher: w.name(), Payload: ack.Payload})
			p.maybeComplete(o, n)
		}
	}
}

// name is how a notifier hears of a watcher.
func (w *watcher) name() message.Watcher {
	return message.Watcher{GID: uint64(w.key.Name.Num), Cookie: w.key.Cookie}
}

func (p *PG) maybeComplete(o *watchedObject, n *notify) {
	if len(n.waiting) == 0 {
		p.completeNotify(o, n, 0)
	}
}

// completeNotify tells the notifier who answered and who did not.
func (p *PG) completeNotify(o *watchedObject, n *notify, result int32) {
	o.notifies = slices.DeleteFunc(o.notifies, func(x *notify) bool { return x == n })
	p.active.watches.notifies--
	order := func(a, b message.Watcher) int {
		return cmp.Or(cmp.Compare(a.GID, b.GID), cmp.Compare(a.Cookie, b.Cookie))
	}
	reply := message.NotifyReply{Replies: n.replies}
	for _, w := range n.waiting {
		reply.TimedOut = append(reply.TimedOut, w.name())
	}
	slices.SortStableFunc(reply.Replies, func(a, b message.WatcherReply) int { return order(a.Watcher, b.Watcher) })
	slices.SortFunc(reply.TimedOut, order)
	e := wire.NewEncoder(64)
	reply.Encode(e)
	p.fx.add(Reply{n.to, &message.WatchNotify{Cookie: n.cookie, Version: n.version, NotifyID: n.id,
		Event: message.WatchEventNotifyComplete, ReturnCode: result, NotifierGID: n.gid, Data: [][]byte{e.Bytes()}}})
}

// setDeadline sets a time by which something must have happened, and sees to it that
// the timer fires by then.
func (p *PG) setDeadline(d *time.Time, at time.Time) {
	*d = at
	ws := &p.active.watches
	if !ws.armed.IsZero() && !at.Before(ws.armed) {
		return
	}
	wait := max(at.Sub(p.now), watchTick)
	ws.armed = p.now.Add(wait)
	p.fx.add(StartTimer{Kind: TimerWatch, After: wait})
}

// watchTimer ends what has waited too long, and sets the timer for what is next.
func (p *PG) watchTimer() {
	ws := &p.active.watches
	ws.armed = time.Time{}
	var next time.Time
	late := func(d time.Time) bool {
		if !d.IsZero() && p.now.Before(d) && (next.IsZero() || d.Before(next)) {
			next = d
		}
		return !d.IsZero() && !p.now.Before(d)
	}
	for _, o := range ws.objects {
		for _, n := range slices.Clone(o.notifies) {
			if late(n.deadline) {
				p.completeNotify(o, n, ops.ETimedOut)
			}
		}
		for _, w := range o.watchers {
			if late(w.deadline) {
				p.expireWatcher(o.id, w)
			}
		}
	}
	if !next.IsZero() {
		p.setDeadline(&next, next)
	}
}

// expireWatcher has a watcher removed by an operation of the PG's own, which takes
// its turn among the clients'.
func (p *PG) expireWatcher(id object.ID, w *watcher) {
	w.deadline, w.expired = time.Time{}, true
	p.stats.arrivals++
	op := &message.OSDOp{PGID: p.id, Epoch: p.osdmap.Epoch, Object: id,
		Flags: message.FlagWrite | message.FlagFullForce,
		Ops:   []message.SubOp{{Op: message.OpWatch, Args: message.Watch{Cookie: w.key.Cookie, Op: message.WatchUnwatch}.Args()}}}
	p.ready = append(p.ready, &clientOp{ClientOp: ClientOp{Op: op, Source: w.key.Name}, seq: p.stats.arrivals, expires: w})
}

// dropBlocklistedWatchers ends the watches of clients that the map shuts out.
func (p *PG) dropBlocklistedWatchers() {
	for _, o := range p.active.watches.objects {
		for _, w := range o.watchers {
			p.checkBlocklisted(o.id, w)
		}
	}
}

func (p *PG) checkBlocklisted(id object.ID, w *watcher) {
	if !w.expired && p.osdmap.IsBlocklisted(w.addr) {
		p.expireWatcher(id, w)
	}
}
