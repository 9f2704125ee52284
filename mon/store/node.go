package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/go-hclog"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// ErrNotLeader is returned for a proposal that this node cannot make, or that
// was lost because leadership changed. The command may be proposed again.
var ErrNotLeader = errors.New("not the leader")

// ErrStopped is returned for proposals to a node that has stopped.
var ErrStopped = errors.New("the monitor is stopping")

// ErrBusy is returned when more commands wait than the queue holds.
var ErrBusy = errors.New("too many commands are waiting")

// maxQueued bounds the commands that wait for an entry.
const maxQueued = 16384

// The log is cut keepEntries before the last applied entry each time it grew by
// compactEvery.
const (
	keepEntries  = 512
	compactEvery = 1024
)

// Machine is what the log drives.
type Machine interface {
	// Restore replaces the state by what the keys say. It is called at start
	// and when a snapshot arrives.
	Restore(r Reader) error
	// Apply executes the commands of one entry and returns one answer for each,
	// and the keys that changed.
	Apply(b Batch) (answers []any, changes []Change)
}

// Config is what a [Node] needs.
type Config struct {
	ID      uint64   // of this node; not 0
	Voters  []uint64 // of a log that does not exist yet
	Disk    *Disk
	Machine Machine
	Logger  hclog.Logger
	// Tick is the unit of raft's timeouts: a leader reports each tick, and is
	// given up after ten without a sign. 0 means 100 ms.
	Tick time.Duration
	Now  func() time.Time
	// Send delivers a raft message to another node, or drops it. It must not
	// block.
	Send func(to uint64, m []byte)
	// Applied is called after each batch is applied, leading or not, on the
	// node's goroutine, before the callers get their answers.
	Applied func()
	// Leading is called when this node becomes or ceases to be the leader.
	Leading func(bool)
	// Fatal is called once when the node cannot go on.
	Fatal func(error)
}

type proposal struct {
	data []byte
	done func(any, error)
}

// Node is one member of the group.
type Node struct {
	cfg  Config
	raw  *raft.RawNode
	mem  *raft.MemoryStorage // the entries since the last compaction
	disk *Disk

	mu      sync.Mutex
	queue   []proposal
	inbox   []*pb.Message
	stopped bool
	leader  uint64
	wake    chan struct{}

	// Of the goroutine alone.
	seq     uint64
	waiting map[uint64][]proposal // by Batch.seq
	applied uint64
	leading bool

	stop chan struct{}
	done chan struct{}
}

// NewNode loads the log, restores the machine and applies what was committed.
// [Node.Start] sets it going.
func NewNode(cfg Config) (*Node, error) {
	if cfg.Tick == 0 {
		cfg.Tick = 100 * time.Millisecond
	}
	st, err := cfg.Disk.loadRaft()
	if err != nil {
		return nil, fmt.Errorf("read the monitor's log: %w", err)
	}
	if err := cfg.Machine.Restore(cfg.Disk); err != nil {
		return nil, fmt.Errorf("read the monitor's state: %w", err)
	}
	n := &Node{
		cfg: cfg, disk: cfg.Disk, mem: raft.NewMemoryStorage(),
		waiting: map[uint64][]proposal{}, applied: st.applied,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		// Numbers must not repeat after a restart while old entries are replayed.
		seq: uint64(cfg.Now().UnixNano()),
	}
	if st.snap.GetConfState() == nil {
		st.snap.ConfState = &pb.ConfState{Voters: cfg.Voters}
	}
	if err := n.mem.ApplySnapshot(&pb.Snapshot{Metadata: st.snap}); err != nil {
		return nil, err
	}
	if err := n.mem.Append(st.entries); err != nil {
		return nil, err
	}
	if !raft.IsEmptyHardState(st.hard) {
		if err := n.mem.SetHardState(st.hard); err != nil {
			return nil, err
		}
	}
	n.raw, err = raft.NewRawNode(&raft.Config{
		ID: cfg.ID, ElectionTick: 10, HeartbeatTick: 1, Storage: snapshotter{n.mem, n},
		Applied: max(st.applied, st.snap.GetIndex()), MaxSizePerMsg: 1 << 20,
		MaxUncommittedEntriesSize: 64 << 20, MaxInflightMsgs: 64, CheckQuorum: len(cfg.Voters) > 1, PreVote: true,
		DisableProposalForwarding: true, Logger: raftLogger{cfg.Logger},
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// snapshotter makes a snapshot of the applied state when raft asks for one,
// which is when a follower lags behind the compacted log.
type snapshotter struct {
	*raft.MemoryStorage
	n *Node
}

func (s snapshotter) Snapshot() (*pb.Snapshot, error) {
	data, err := encodeState(s.n.disk)
	if err != nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	term, err := s.Term(s.n.applied)
	if err != nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	_, conf, _ := s.InitialState()
	index := s.n.applied
	return &pb.Snapshot{Data: data, Metadata: &pb.SnapshotMetadata{ConfState: conf, Index: &index, Term: &term}}, nil
}

// Start sets the node going. A single voter leads at once.
func (n *Node) Start() {
	go n.run()
}

// Stop ends the node and fails what still waits. It returns when nothing will
// be called any more.
func (n *Node) Stop() {
	n.mu.Lock()
	if !n.stopped {
		n.stopped = true
		close(n.stop)
	}
	n.mu.Unlock()
	<-n.done
}

// Propose queues a command. done is called exactly once, on the node's
// goroutine or, for an immediate refusal, on the caller's, with the machine's
// answer or an error. A command that failed with [ErrNotLeader] may
// nevertheless have been applied.
func (n *Node) Propose(command []byte, done func(answer any, err error)) {
	n.mu.Lock()
	switch {
	case n.stopped:
		n.mu.Unlock()
		done(nil, ErrStopped)
		return
	case len(n.queue) >= maxQueued:
		n.mu.Unlock()
		done(nil, ErrBusy)
		return
	}
	n.queue = append(n.queue, proposal{command, done})
	n.mu.Unlock()
	n.poke()
}

// Call proposes a command and waits for its answer.
func (n *Node) Call(ctx context.Context, command []byte) (any, error) {
	type result struct {
		v   any
		err error
	}
	ch := make(chan result, 1)
	n.Propose(command, func(v any, err error) { ch <- result{v, err} })
	select {
	case r := <-ch:
		return r.v, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Receive takes a raft message from another node.
func (n *Node) Receive(data []byte) error {
	m := &pb.Message{}
	if err := proto.Unmarshal(data, m); err != nil {
		return fmt.Errorf("raft message: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped || len(n.inbox) >= maxQueued {
		return ErrBusy // raft repeats what matters
	}
	n.inbox = append(n.inbox, m)
	n.poke()
	return nil
}

// Leader returns the id of the leader, 0 when there is none.
func (n *Node) Leader() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leader
}

func (n *Node) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *Node) run() {
	defer close(n.done)
	defer n.failAll()
	if _, conf, err := n.mem.InitialState(); err == nil && len(conf.Voters) == 1 {
		if err := n.raw.Campaign(); err != nil {
			n.cfg.Fatal(fmt.Errorf("campaign: %w", err))
			return
		}
	}
	tick := time.NewTicker(n.cfg.Tick)
	defer tick.Stop()
	for {
		if err := n.settle(); err != nil {
			n.mu.Lock()
			n.stopped = true
			n.mu.Unlock()
			n.cfg.Fatal(err)
			return
		}
		select {
		case <-n.stop:
			return
		case <-tick.C:
			n.raw.Tick()
		case <-n.wake:
		}
	}
}

// settle takes what came in and works until raft has nothing more to do.
func (n *Node) settle() error {
	for {
		n.receive()
		n.propose()
		if !n.raw.HasReady() {
			return nil
		}
		rd := n.raw.Ready()
		if err := n.persist(rd); err != nil {
			return fmt.Errorf("write the monitor's log: %w", err)
		}
		n.observe(rd.SoftState)
		for _, m := range rd.Messages {
			n.send(m)
		}
		for _, e := range rd.CommittedEntries {
			if err := n.apply(e); err != nil {
				return err
			}
		}
		n.raw.Advance(rd)
		if err := n.compact(); err != nil {
			return fmt.Errorf("cut the monitor's log: %w", err)
		}
	}
}

func (n *Node) receive() {
	n.mu.Lock()
	in := n.inbox
	n.inbox = nil
	n.mu.Unlock()
	for _, m := range in {
		if err := n.raw.Step(m); err != nil {
			n.cfg.Logger.Debug("raft message dropped", "type", m.GetType(), "from", m.GetFrom(), "error", err)
		}
	}
}

// propose makes one entry of what waits, as far as it fits. One entry is in
// flight at a time: what comes meanwhile shares the next one. While there is
// no leader, all wait.
func (n *Node) propose() {
	st := n.raw.BasicStatus()
	if len(n.waiting) > 0 || st.RaftState != raft.StateLeader && st.Lead == raft.None {
		return
	}
	n.mu.Lock()
	count, bytes := 0, 0
	for count < len(n.queue) && count < maxBatchCommands && (count == 0 || bytes+len(n.queue[count].data) <= maxBatchBytes) {
		bytes += len(n.queue[count].data)
		count++
	}
	take := n.queue[:count:count]
	n.queue = n.queue[count:]
	n.mu.Unlock()
	if count == 0 {
		return
	}
	n.seq++
	b := Batch{Time: n.cfg.Now(), Origin: n.cfg.ID, seq: n.seq}
	for _, p := range take {
		b.Commands = append(b.Commands, p.data)
	}
	if err := n.raw.Propose(b.encode()); err != nil {
		for _, p := range take {
			p.done(nil, ErrNotLeader)
		}
		return
	}
	n.waiting[n.seq] = take
}

// persist makes entries and votes durable.
func (n *Node) persist(rd raft.Ready) error {
	if raft.IsEmptyHardState(rd.HardState) && len(rd.Entries) == 0 && raft.IsEmptySnap(rd.Snapshot) {
		return nil
	}
	b := n.disk.db.NewBatch()
	defer b.Close()
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := n.installSnapshot(b, rd.Snapshot); err != nil {
			return err
		}
	}
	if len(rd.Entries) > 0 {
		// Entries of an older term at or above the first are void.
		if err := b.DeleteRange(logKey(rd.Entries[0].GetIndex()), prefixEnd(prefixLog), nil); err != nil {
			return err
		}
	}
	for _, e := range rd.Entries {
		if err := setProto(b, logKey(e.GetIndex()), e); err != nil {
			return err
		}
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		if err := setProto(b, []byte(keyHard), rd.HardState); err != nil {
			return err
		}
		if err := n.mem.SetHardState(rd.HardState); err != nil {
			return err
		}
	}
	how := pebble.NoSync
	if rd.MustSync || !raft.IsEmptySnap(rd.Snapshot) {
		how = pebble.Sync
	}
	if err := b.Commit(how); err != nil {
		return err
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := n.cfg.Machine.Restore(n.disk); err != nil {
			return err
		}
		n.applied = rd.Snapshot.GetMetadata().GetIndex()
		n.cfg.Applied()
	}
	return n.mem.Append(rd.Entries)
}

// installSnapshot replaces the whole state by a leader's.
func (n *Node) installSnapshot(b *pebble.Batch, snap *pb.Snapshot) error {
	changes, err := decodeState(snap.GetData())
	if err != nil {
		return err
	}
	if err := b.DeleteRange([]byte(prefixState), prefixEnd(prefixState), nil); err != nil {
		return err
	}
	if err := b.DeleteRange([]byte(prefixLog), prefixEnd(prefixLog), nil); err != nil {
		return err
	}
	if err := putChanges(b, changes, snap.GetMetadata().GetIndex()); err != nil {
		return err
	}
	if err := setProto(b, []byte(keySnap), snap.GetMetadata()); err != nil {
		return err
	}
	return n.mem.ApplySnapshot(&pb.Snapshot{Metadata: snap.GetMetadata()})
}

func (n *Node) apply(e *pb.Entry) error {
	if e.GetIndex() <= n.applied {
		return nil
	}
	n.applied = e.GetIndex()
	if e.GetType() != pb.EntryType_EntryNormal || len(e.GetData()) == 0 {
		return n.write(nil)
	}
	batch, err := decodeBatch(e.GetData())
	if err != nil {
		return fmt.Errorf("log entry %d: %w", e.GetIndex(), err)
	}
	answers, changes := n.cfg.Machine.Apply(batch)
	if err := n.write(changes); err != nil {
		return fmt.Errorf("write the monitor's state: %w", err)
	}
	n.cfg.Applied()
	if batch.Origin != n.cfg.ID {
		return nil
	}
	for i, p := range n.waiting[batch.seq] {
		p.done(answers[i], nil)
	}
	delete(n.waiting, batch.seq)
	return nil
}

// write stores changes with the index they belong to. It need not be synced:
// the entry is, and is applied again after a crash.
func (n *Node) write(changes []Change) error {
	b := n.disk.db.NewBatch()
	defer b.Close()
	if err := putChanges(b, changes, n.applied); err != nil {
		return err
	}
	return b.Commit(pebble.NoSync)
}

func putChanges(b *pebble.Batch, changes []Change, applied uint64) error {
	for _, c := range changes {
		key := []byte(prefixState + c.Key)
		var err error
		if c.Value == nil {
			err = b.Delete(key, nil)
		} else {
			err = b.Set(key, c.Value, nil)
		}
		if err != nil {
			return err
		}
	}
	return b.Set([]byte(keyApplied), binary.BigEndian.AppendUint64(nil, applied), nil)
}

func setProto(b *pebble.Batch, key []byte, m proto.Message) error {
	v, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return b.Set(key, v, nil)
}

// observe notes who leads. Waiting proposals of a deposed leader fail: their
// entries may or may not survive.
func (n *Node) observe(s *raft.SoftState) {
	if s == nil {
		return
	}
	n.mu.Lock()
	n.leader = s.Lead
	n.mu.Unlock()
	leading := s.RaftState == raft.StateLeader
	if leading == n.leading {
		return
	}
	n.leading = leading
	if !leading {
		n.failWaiting(ErrNotLeader)
	}
	if n.cfg.Leading != nil {
		n.cfg.Leading(leading)
	}
}

func (n *Node) send(m *pb.Message) {
	if n.cfg.Send == nil {
		return
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return
	}
	n.cfg.Send(m.GetTo(), data)
	if m.GetType() == pb.MessageType_MsgSnap {
		n.raw.ReportSnapshot(m.GetTo(), raft.SnapshotFinish)
	}
}

// compact cuts the log some way behind the applied state. The state on disk
// must be durable first, since the entries that made it go away.
func (n *Node) compact() error {
	first, err := n.mem.FirstIndex()
	if err != nil || n.applied < first+keepEntries+compactEvery {
		return err
	}
	index := n.applied - keepEntries
	term, err := n.mem.Term(index)
	if err != nil {
		return err
	}
	_, conf, err := n.mem.InitialState()
	if err != nil {
		return err
	}
	b := n.disk.db.NewBatch()
	defer b.Close()
	meta := &pb.SnapshotMetadata{ConfState: conf, Index: &index, Term: &term}
	if err := setProto(b, []byte(keySnap), meta); err != nil {
		return err
	}
	if err := b.DeleteRange([]byte(prefixLog), logKey(index+1), nil); err != nil {
		return err
	}
	// Pebble's log is sequential: syncing this batch makes all before it durable.
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return n.mem.Compact(index)
}

func (n *Node) failWaiting(err error) {
	for seq, list := range n.waiting {
		for _, p := range list {
			p.done(nil, err)
		}
		delete(n.waiting, seq)
	}
}

func (n *Node) failAll() {
	n.failWaiting(ErrStopped)
	n.mu.Lock()
	n.stopped = true
	queue := n.queue
	n.queue = nil
	n.mu.Unlock()
	for _, p := range queue {
		p.done(nil, ErrStopped)
	}
}
