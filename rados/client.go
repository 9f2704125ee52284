package rados

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"sepiola/config"
	"sepiola/entity"
	"sepiola/message"
	"sepiola/monclient"
	"sepiola/msgr"
	"sepiola/osdmap"
)

// Client is a connection to a cluster. It is safe for concurrent use.
type Client struct {
	conf *config.Config
	log  hclog.Logger
	ms   *msgr.Messenger
	auth *msgr.NoneClient
	mon  *monclient.Client
	mgr  manager

	inflight *limiter

	mu       sync.Mutex
	osdmap   *osdmap.Map
	mapWait  chan struct{} // closed and replaced with each new map
	ops      map[uint64]*op
	order    []uint64 // transaction ids of ops, ascending
	lastTID  uint64
	sessions map[int32]*osdSession
	backoffs map[*osdSession][]backoff
	commands map[uint64]*osdCommand
	closed   bool
	done     chan struct{}
}

// osdSession is the connection to an OSD in one incarnation.
type osdSession struct {
	osd   int32
	conn  *msgr.Conn
	addrs entity.AddrVec
}

// ErrClosed is returned by calls on a closed client.
var ErrClosed = errors.New("the client is closed")

// Connect opens a connection to the cluster that conf names, and waits for its
// configuration and its OSD map. conf's type and id are the client's name.
func Connect(ctx context.Context, conf *config.Config, log hclog.Logger) (*Client, error) {
	hosts, err := config.MonHosts(conf.String("mon_host"))
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		return nil, errors.New("no monitor is named: give a ceph.conf with \"mon host\" (-c FILE)")
	}
	c, err := newClient(conf, log, nil)
	if err != nil {
		return nil, err
	}
	c.ms.Start()
	host, _ := os.Hostname()
	c.mon = monclient.New(monclient.Config{
		Messenger: c.ms, Mons: hosts, Hostname: host, Logger: log, FSID: fsidOf(conf),
		HuntInterval: conf.Duration("mon_client_hunt_interval"), PingInterval: conf.Duration("mon_client_ping_interval"),
		OnSession: func() { c.ms.SetName(entity.Client(int64(c.auth.GlobalID()))) },
		OnConfig: func(values map[string]string) {
			for _, err := range conf.SetMon(values) {
				log.Warn("option from the monitors left out", "error", err)
			}
		},
	})
	if err := c.open(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// newClient returns a client that is not connected. A nil transport is TCP.
func newClient(conf *config.Config, log hclog.Logger, transport msgr.Transport) (*Client, error) {
	kind, err := entity.ParseType(conf.Type)
	if err != nil {
		return nil, err
	}
	c := &Client{
		conf: conf, log: log, auth: &msgr.NoneClient{Name: entity.AuthName{Type: kind, ID: conf.ID}},
		mapWait: make(chan struct{}), ops: map[uint64]*op{}, sessions: map[int32]*osdSession{},
		backoffs: map[*osdSession][]backoff{},
		commands: map[uint64]*osdCommand{}, done: make(chan struct{}),
		inflight: newLimiter(int(conf.Int("objecter_inflight_ops")), conf.Int("objecter_inflight_op_bytes")),
	}
	c.ms = msgr.New(msgr.Config{
		Name: entity.Client(-1), Nonce: rand.Uint32(), Logger: log, AuthClient: c.auth,
		DefaultPolicy: msgr.LossyClient(), Transport: transport,
	}, (*dispatcher)(c))
	return c, nil
}

func fsidOf(conf *config.Config) entity.UUID {
	u, err := entity.ParseUUID(conf.String("fsid"))
	if err != nil {
		return entity.UUID{}
	}
	return u
}

func (c *Client) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.conf.Duration("client_mount_timeout"))
	defer cancel()
	if err := c.mon.Start(); err != nil {
		return err
	}
	if err := c.mon.WaitConfig(ctx); err != nil {
		return err
	}
	c.mon.Subscribe("osdmap", 0, false)
	c.mon.Subscribe("mgrmap", 0, false)
	return c.waitMap(ctx, 1)
}

// Close ends all sessions. Operations under way return ErrClosed.
func (c *Client) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	close(c.done)
	for _, tid := range slices.Clone(c.order) {
		c.complete(c.ops[tid], result{err: ErrClosed})
	}
	c.mu.Unlock()
	c.mon.Close()
	c.ms.Shutdown()
}

// GlobalID returns the number the monitors know this client by.
func (c *Client) GlobalID() uint64 { return c.auth.GlobalID() }

// FSID returns the cluster's.
func (c *Client) FSID() entity.UUID { return c.Map().FSID }

// Map returns the newest OSD map at hand. It is not to be changed.
func (c *Client) Map() *osdmap.Map {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.osdmap
}

// waitMap waits for a map of at least the given epoch.
func (c *Client) waitMap(ctx context.Context, epoch uint32) error {
	for {
		c.mu.Lock()
		have, wait := c.osdmap != nil && c.osdmap.Epoch >= epoch, c.mapWait
		c.mu.Unlock()
		if have {
			return nil
		}
		select {
		case <-wait:
		case <-c.done:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("waiting for OSD map %d: %w", epoch, context.Cause(ctx))
		}
	}
}

// RefreshMap waits until the map at hand is as new as the monitors'.
func (c *Client) RefreshMap(ctx context.Context) error {
	ctx, cancel := c.monTimeout(ctx)
	defer cancel()
	newest, _, err := c.mon.Version(ctx, "osdmap")
	if err != nil {
		return err
	}
	return c.waitMap(ctx, uint32(newest))
}

// MonCommand carries out a monitor command, given as JSON, and returns its output
// and the text for the user. A refusal is a *CommandError.
func (c *Client) MonCommand(ctx context.Context, cmd string, input []byte) (out []byte, status string, err error) {
	ctx, cancel := c.monTimeout(ctx)
	defer cancel()
	out, status, r, err := c.mon.Command(ctx, cmd, input)
	if err == nil && r < 0 {
		err = &CommandError{Errno(-r), status}
	}
	return out, status, err
}

// dispatcher is a Client as its messenger sees it.
type dispatcher Client

func (p *dispatcher) Dispatch(conn *msgr.Conn, m *msgr.Message) {
	c := (*Client)(p)
	b, err := message.Decode(m)
	if err != nil {
		conn.Fail(err.Error())
		return
	}
	if conn.Peer().Type == entity.TypeMon && c.mon.Dispatch(conn, b) {
		return
	}
	switch b := b.(type) {
	case *message.OSDMapMsg:
		c.handleMaps(b)
	case *message.OSDOpReply:
		c.handleReply(conn, b)
	case *message.CommandReply:
		c.handleCommandReply(b)
	case *message.MgrMapMsg:
		c.mgr.setMap(c, &b.Map)
		c.mon.Got("mgrmap", uint64(b.Map.Epoch))
	case *message.MgrCommandReply:
		c.mgr.reply(b)
	case *message.OSDBackoff:
		c.handleBackoff(conn, b)
	default:
		c.log.Debug("message passed over", "type", message.TypeName(b.Type()), "from", conn.Peer().String())
	}
}

func (p *dispatcher) Connected(conn *msgr.Conn) {
	c := (*Client)(p)
	switch conn.Peer().Type {
	case entity.TypeMon:
		c.mon.Connected(conn)
	case entity.TypeMgr:
		c.mgr.connected(c, conn)
	}
}

func (p *dispatcher) Accepted(*msgr.Conn) {}

func (p *dispatcher) Reset(conn *msgr.Conn) {
	c := (*Client)(p)
	switch conn.Peer().Type {
	case entity.TypeOSD:
		c.lostOSD(conn)
	case entity.TypeMgr:
		c.mgr.reset(c, conn)
	default:
		c.mon.Reset(conn)
	}
}

func (p *dispatcher) RemoteReset(*msgr.Conn) {}

func (p *dispatcher) Refused(conn *msgr.Conn) {
	c := (*Client)(p)
	switch conn.Peer().Type {
	case entity.TypeMon:
		c.mon.Reset(conn)
	default:
		// It died, or is about to be marked down; the next map says. Until then the
		// messenger goes on trying.
		c.log.Debug("connection refused", "peer", conn.Peer().String(), "addr", conn.PeerAddrs().String())
	}
}

// handleMaps takes maps from a monitor or an OSD.
func (c *Client) handleMaps(msg *message.OSDMapMsg) {
	c.mu.Lock()
	cur := c.osdmap
	c.mu.Unlock()
	next, err := newest(cur, msg)
	if err != nil {
		c.log.Warn("OSD map not usable; asking for a full one", "error", err)
		c.mon.Subscribe("osdmap", 0, false)
		return
	}
	if next == nil {
		if cur != nil && msg.Last() > cur.Epoch {
			// Maps in between are missing; the monitors have them.
			c.mon.Subscribe("osdmap", uint64(cur.Epoch)+1, false)
		}
		return
	}
	c.mon.Got("osdmap", uint64(next.Epoch))
	c.adopt(next)
}

// adopt takes a map, unless it has a newer one, and sends again what that moves.
func (c *Client) adopt(next *osdmap.Map) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.osdmap != nil && next.Epoch <= c.osdmap.Epoch {
		return
	}
	c.osdmap = next
	close(c.mapWait)
	c.mapWait = make(chan struct{})
	c.retarget()
}

// newest goes from the map at hand to the last one of a message; nil if there is
// nothing new, or what is new does not follow.
func newest(cur *osdmap.Map, msg *message.OSDMapMsg) (*osdmap.Map, error) {
	from := msg.First()
	if cur != nil {
		from = max(from, cur.Epoch+1)
	}
	var next *osdmap.Map
	for e := from; e <= msg.Last(); e++ {
		var err error
		switch {
		case msg.Incrementals[e] != nil && cur != nil && cur.Epoch+1 == e:
			cur, _, err = cur.ApplyEncoded(msg.Incrementals[e])
		case msg.Maps[e] != nil:
			cur, err = osdmap.DecodeMap(msg.Maps[e])
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("epoch %d: %w", e, err)
		}
		next = cur
	}
	return next, nil
}
