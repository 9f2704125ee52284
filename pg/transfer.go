package pg

import (
	"fmt"
	"maps"
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pg/ops"
	"sepiola/pglog"
)

// txn is the transaction type, under a name short enough for signatures.
type txn = *objectstore.Transaction

// recoverySet are the temporary objects of transfers under way to this copy, by
// the object they will become.
type recoverySet map[object.ID]object.ID

// recoveryInfo describes an object of this copy to whom it is sent.
func (p *PG) recoveryInfo(o object.ID) (message.ObjectRecoveryInfo, error) {
	var s ops.State
	if err := p.loadState(o, &s); err != nil {
		return message.ObjectRecoveryInfo{}, err
	}
	if !s.Exists {
		return message.ObjectRecoveryInfo{}, fmt.Errorf("%v: %w", o, objectstore.ErrNotFound)
	}
	return message.ObjectRecoveryInfo{Object: o, Version: s.Info.Version, Size: s.Info.Size, Info: s.Info,
		SnapSet: s.SnapSet, CopySubset: wholeObject(s.Info.Size)}, nil
}

func wholeObject(size uint64) pglog.IntervalSet {
	if size == 0 {
		return nil
	}
	return pglog.IntervalSet{{Start: 0, Len: size}}
}

// readPiece reads the next piece of an object: attributes first, then omap, then
// data, as much as a piece may hold.
func (p *PG) readPiece(info message.ObjectRecoveryInfo, at message.ObjectRecoveryProgress) (message.PushOp, error) {
	gid := p.gid(info.Object)
	piece := message.PushOp{Object: info.Object, Version: info.Version, Recovery: info, Before: at, After: at}
	next := &piece.After
	next.First = false
	if at.First {
		var err error
		if piece.Attrs, err = p.env.Reader.Attrs(p.coll, gid); err != nil {
			return piece, err
		}
		if piece.OmapHeader, err = p.env.Reader.OmapHeader(p.coll, gid); err != nil {
			return piece, err
		}
		next.OmapComplete = !info.Info.Has(pglog.OIOmap)
	}
	room := p.conf.RecoveryMaxChunk
	if !next.OmapComplete {
		used, err := p.readOmapPiece(gid, &piece)
		if err != nil {
			return piece, err
		}
		room -= min(used, room)
	}
	if !next.OmapComplete || room == 0 && info.Size > next.DataRecoveredTo {
		return piece, nil
	}
	if n := min(room, info.Size-next.DataRecoveredTo); n > 0 {
		data, err := p.env.Reader.Read(p.coll, gid, next.DataRecoveredTo, n)
		if err != nil {
			return piece, err
		}
		if uint64(data.Len()) != n {
			return piece, fmt.Errorf("%v: %d bytes at %d, %d expected: %w", info.Object, data.Len(),
				next.DataRecoveredTo, n, objectstore.ErrIO)
		}
		piece.Data = data
		piece.DataIncluded = pglog.IntervalSet{{Start: next.DataRecoveredTo, Len: n}}
		next.DataRecoveredTo += n
	}
	next.DataComplete = next.DataRecoveredTo >= info.Size
	return piece, nil
}

// readOmapPiece adds omap entries and returns their bytes.
func (p *PG) readOmapPiece(gid object.GID, piece *message.PushOp) (used uint64, err error) {
	next := &piece.After
	it, err := p.env.Reader.OmapIter(p.coll, gid, next.OmapRecoveredTo)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	piece.OmapEntries = map[string][]byte{}
	started := !piece.Before.First
	for it.Next() {
		key := it.Key()
		if started && key == piece.Before.OmapRecoveredTo {
			continue
		}
		if len(piece.OmapEntries) >= p.conf.RecoveryMaxOmap || used >= p.conf.RecoveryMaxChunk {
			return used, it.Err()
		}
		piece.OmapEntries[key] = slices.Clone(it.Value())
		used += uint64(len(key) + len(it.Value()))
		next.OmapRecoveredTo = key
	}
	next.OmapComplete = true
	return used, it.Err()
}

// tempFor names the object in which a transfer of several pieces grows, so that a
// crash in between leaves the old version whole.
func (p *PG) tempFor(o object.ID, v pglog.Version) object.ID {
	name := fmt.Sprintf("temp_recovering_%v_%v_%d_%v", p.id, v, p.own.Info.History.SameIntervalSince, o.Snap)
	return object.ID{Name: name, Snap: object.NoSnap, Hash: o.Hash, Pool: object.TempPool(o.Pool)}
}

// storePiece adds a piece to the transaction; with the last one the object is in
// its place.
func (p *PG) storePiece(tx txn, piece *message.PushOp) {
	o := piece.Object
	target := o
	if !piece.Before.First || !piece.After.Complete() {
		target = p.tempFor(o, piece.Version)
		p.pulls[o] = target
	}
	g := p.gid(target)
	if piece.Before.First {
		tx.Remove(p.coll, g)
		tx.Touch(p.coll, g)
		if len(piece.Attrs) > 0 {
			tx.SetAttrs(p.coll, g, piece.Attrs)
		}
		if len(piece.OmapHeader) > 0 {
			tx.OmapHeader(p.coll, g, piece.OmapHeader)
		}
		oi := &piece.Recovery.Info
		tx.SetAllocHint(p.coll, g, objectstore.AllocHint{ObjectSize: oi.ExpectedObjectSize,
			WriteSize: oi.ExpectedWriteSize, Flags: oi.AllocHintFlags})
		tx.Truncate(p.coll, g, piece.Recovery.Size)
	}
	off := 0
	for _, r := range piece.DataIncluded {
		tx.Write(p.coll, g, r.Start, piece.Data.Slice(off, int(r.Len)))
		off += int(r.Len)
	}
	if len(piece.OmapEntries) > 0 {
		tx.OmapSet(p.coll, g, piece.OmapEntries)
	}
	if piece.After.Complete() && target != o {
		tx.Remove(p.coll, p.gid(o))
		tx.TryRename(p.coll, g, p.gid(o))
		delete(p.pulls, o)
	}
}

// validPiece refuses pieces whose data is not what they say.
func validPiece(piece *message.PushOp) bool {
	return piece.DataIncluded.Size() == uint64(piece.Data.Len())
}

// dropPulls removes what transfers that ended early left behind.
func (p *PG) dropPulls() {
	if len(p.pulls) == 0 {
		return
	}
	tx := p.newTx()
	for _, o := range slices.SortedFunc(maps.Keys(p.pulls), object.ID.Compare) {
		tx.Remove(p.coll, p.gid(p.pulls[o]))
	}
	clear(p.pulls)
	p.submit(tx, nil)
}

// startPull asks a copy for an object the primary misses.
func (p *PG) startPull(o object.ID, item pglog.MissingItem, tried []int32) {
	sources := slices.DeleteFunc(p.liveSources(o), func(osd int32) bool { return slices.Contains(tried, osd) })
	if len(sources) == 0 {
		return
	}
	from := sources[int(o.Hash>>8)%len(sources)]
	v, revert := p.wantedVersion(item)
	if !p.lead.missing[from].Has(o) {
		v, revert = item.Need, false // it has gone back already
	}
	p.active.recovery.pulling[o] = &pull{from: from, tried: append(tried, from), version: v, revert: revert}
	p.sendPull(from, message.PullOp{Object: o, Progress: message.NewProgress(),
		Recovery: message.ObjectRecoveryInfo{Object: o, Version: v, Size: ^uint64(0),
			Info: pglog.NewObjectInfo(o), CopySubset: pglog.WholeSet()}})
}

func (p *PG) sendPull(to int32, op message.PullOp) {
	p.send(to, &message.OSDPGPull{PGHeader: p.header(), From: p.self(), Pulls: []message.PullOp{op},
		Cost: p.conf.RecoveryMaxChunk})
}

// servePull sends the pieces a primary asks for, whether or not this copy is a
// member.
func servePull(p *PG, from int32, m *message.OSDPGPull) {
	out := &message.OSDPGPush{PGHeader: p.answer(&m.PGHeader), From: p.self()}
	for _, want := range m.Pulls {
		piece, err := p.pieceFor(&want)
		if err != nil {
			p.note("pull of %v %v: %v", want.Object, want.Recovery.Version, err)
			piece = message.PushOp{Object: want.Object, Before: want.Progress, After: want.Progress,
				Recovery: message.ObjectRecoveryInfo{Object: want.Object, Info: pglog.NewObjectInfo(want.Object)}}
		}
		out.Pushes = append(out.Pushes, piece)
		out.Cost += piece.Cost()
	}
	p.send(from, out)
}

// pieceFor reads a piece of an object in the very version asked for.
func (p *PG) pieceFor(want *message.PullOp) (message.PushOp, error) {
	info, err := p.recoveryInfo(want.Object)
	if err != nil {
		return message.PushOp{}, err
	}
	if info.Version != want.Recovery.Version {
		return message.PushOp{}, fmt.Errorf("%v is at %v: %w", want.Object, info.Version, objectstore.ErrNotFound)
	}
	return p.readPiece(info, want.Progress)
}

// pulled takes a piece that the primary asked for.
func pulled(p *PG, from int32, m *message.OSDPGPush) {
	a := p.active
	for i := range m.Pushes {
		piece := &m.Pushes[i]
		o := piece.Object
		pull := a.recovery.pulling[o]
		if pull == nil || pull.from != from {
			continue
		}
		item, missing := p.own.Missing.Get(o)
		if !missing {
			delete(a.recovery.pulling, o)
			continue
		}
		if piece.Version != pull.version || !validPiece(piece) || !pull.rewrite(piece, item.Need) {
			p.clog("error", "osd.%d does not have %v %v", from, o, pull.version)
			p.dropSource(o, from)
			delete(a.recovery.pulling, o)
			p.startPull(o, item, pull.tried)
			continue
		}
		tx := p.newTx()
		p.storePiece(tx, piece)
		if !piece.After.Complete() {
			p.submit(tx, nil)
			p.sendPull(from, message.PullOp{Object: o, Recovery: piece.Recovery, Progress: piece.After})
			continue
		}
		p.forgetContext(o)
		p.gotObject(tx, o, item.Need)
		p.stats.recovered++
		p.submit(tx, func() {
			if p.active == a {
				delete(a.recovery.pulling, o)
				p.recoveredHere(o)
			}
		})
	}
}

// rewrite makes the metadata in a piece that of the newest version, where an older one
// takes its place.
func (pull *pull) rewrite(piece *message.PushOp, need pglog.Version) bool {
	raw, ok := piece.Attrs[pglog.AttrObjectInfo]
	if !pull.revert || !ok {
		return true
	}
	info, err := asVersion(raw, need)
	piece.Attrs[pglog.AttrObjectInfo] = info
	return err == nil
}

// dropSource forgets a copy that turned out not to have an object.
func (p *PG) dropSource(o object.ID, osd int32) {
	r := &p.active.recovery
	r.sources[o] = slices.DeleteFunc(r.sources[o], func(s int32) bool { return s == osd })
}

// pushed takes pieces that the primary sends.
func pushed(p *PG, from int32, m *message.OSDPGPush) {
	reply := &message.OSDPGPushReply{PGHeader: p.answer(&m.PGHeader), From: p.self()}
	tx := p.newTx()
	for i := range m.Pushes {
		piece := &m.Pushes[i]
		if !validPiece(piece) {
			p.clog("error", "osd.%d sent a bad piece of %v", from, piece.Object)
			continue
		}
		p.storePiece(tx, piece)
		if piece.After.Complete() {
			p.gotObject(tx, piece.Object, piece.Version)
		}
		reply.Objects = append(reply.Objects, piece.Object)
	}
	p.confirm(tx, from, func(pglog.Version) { p.send(from, reply) })
}

// deleteObjects removes objects that the log says are deleted.
func deleteObjects(p *PG, from int32, m *message.OSDPGRecoveryDelete) {
	tx := p.newTx()
	for _, ov := range m.Objects {
		tx.Remove(p.coll, p.gid(ov.Object))
		p.gotObject(tx, ov.Object, ov.Version)
	}
	reply := &message.OSDPGRecoveryDeleteReply{PGHeader: p.answer(&m.PGHeader), From: p.self(), Objects: m.Objects}
	p.confirm(tx, from, func(pglog.Version) { p.send(from, reply) })
}
