package monclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/osdmap"
)

// Config is what a client is made of.
type Config struct {
	Messenger *msgr.Messenger
	// Mons are the monitors' addresses to begin with; the monitor map replaces
	// them.
	Mons []entity.AddrVec
	// FSID, unless zero, must be the cluster's.
	FSID entity.UUID
	// Hostname goes with subscriptions; configuration may depend on it.
	Hostname string
	Logger   hclog.Logger
	// HuntInterval is the time a monitor gets to answer before another is tried;
	// PingInterval that between keepalives, and PingTimeout the longest silence of a
	// monitor that was asked for a sign of life. 0 means Ceph's 3 s, 10 s and 30 s.
	HuntInterval, PingInterval, PingTimeout time.Duration

	// OnSession is called when a session is established. It must not block.
	OnSession func()
	// OnConfig is called with the options that the monitors hold for us.
	OnConfig func(map[string]string)
	// OnMonMap is called with each new monitor map.
	OnMonMap func(*osdmap.MonMap)
}

// Client is a session with the monitors. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu     sync.Mutex
	mons   []entity.AddrVec
	order  []int // monitors still to try in this round
	conn   *msgr.Conn
	open   bool      // conn has a session
	since  time.Time // the session was established
	pinged bool      // a keepalive was sent in it
	// stranger is set when conn turned out to be of another cluster.
	stranger bool
	closed   bool
	monmap   *osdmap.MonMap
	subs     map[string]message.SubscribeItem
	calls    map[uint64]*call
	lastTID  uint64
	waiting  []message.Body // sent as soon as there is a session
	config   chan struct{}  // closed when the first configuration came
	gotConf  bool
	ready    chan struct{} // closed while there is a session
	changed  chan struct{} // holds a token when tick has to begin its wait anew
	stop     chan struct{}
	wg       sync.WaitGroup
}

// call is a request that waits for its answer.
type call struct {
	body  message.Body // sent again on a new session
	reply chan message.Body
}

// waitingMax bounds the messages kept for a session that is not there yet.
const waitingMax = 1024

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the monitor client is closed")

// New returns a client that is not connected yet.
func New(cfg Config) *Client {
	if cfg.HuntInterval == 0 {
		cfg.HuntInterval = 3 * time.Second
	}
	if cfg.PingInterval == 0 {
		cfg.PingInterval = 10 * time.Second
	}
	if cfg.PingTimeout == 0 {
		cfg.PingTimeout = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	return &Client{
		cfg:     cfg,
		mons:    cfg.Mons,
		subs:    map[string]message.SubscribeItem{},
		calls:   map[uint64]*call{},
		config:  make(chan struct{}),
		ready:   make(chan struct{}),
		changed: make(chan struct{}, 1),
		stop:    make(chan struct{}),
	}
}

// Start begins to look for a monitor. The messenger must be started.
func (c *Client) Start() error {
	if len(c.cfg.Mons) == 0 {
		return errors.New("no monitor is named; set \"mon host\" in ceph.conf or on the command line")
	}
	c.mu.Lock()
	c.subs["config"] = message.SubscribeItem{}
	c.subs["monmap"] = message.SubscribeItem{}
	c.hunt()
	c.mu.Unlock()
	c.wg.Add(1)
	go c.tick()
	return nil
}

// Close ends the session. Calls that wait return ErrClosed.
func (c *Client) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	conn := c.conn
	c.conn = nil
	c.mu.Unlock()
	close(c.stop)
	if conn != nil {
		conn.MarkDown()
	}
	c.wg.Wait()
}

// hunt opens a connection to the next monitor. The caller holds mu.
func (c *Client) hunt() {
	if c.closed {
		return
	}
	if old := c.conn; old != nil {
		c.conn = nil
		old.MarkDown()
	}
	c.stranger = false
	c.setOpen(false)
	if len(c.order) == 0 {
		c.order = rand.Perm(len(c.mons))
	}
	addrs := c.mons[c.order[0]]
	c.order = c.order[1:]
	c.cfg.Logger.Debug("trying monitor", "addr", addrs.String())
	c.conn = c.cfg.Messenger.Connect(addrs, entity.TypeMon)
	c.restartTick()
}

// restartTick has tick begin its wait anew.
func (c *Client) restartTick() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *Client) setOpen(open bool) {
	if c.open == open {
		return
	}
	c.open = open
	if open {
		c.since, c.pinged = time.Now(), false
		c.restartTick()
		close(c.ready)
	} else {
		c.ready = make(chan struct{})
	}
}

// tick looks for another monitor where one does not answer, and keeps an open
// session alive.
func (c *Client) tick() {
	defer c.wg.Done()
	for {
		c.mu.Lock()
		wait := c.cfg.HuntInterval
		if c.open {
			wait = c.cfg.PingInterval
		}
		c.mu.Unlock()
		select {
		case <-c.stop:
			return
		case <-c.changed:
			continue // an attempt gets its whole interval, and so does a session
		case now := <-time.After(wait):
			c.mu.Lock()
			c.check(now)
			c.mu.Unlock()
		}
	}
}

// check gives up a monitor that does not answer, and asks one that did for a sign of
// life (MonClient::tick). The caller holds mu.
func (c *Client) check(now time.Time) {
	switch {
	case c.closed:
	case !c.open:
		c.hunt()
	case c.pinged && now.Sub(c.lastSign()) > c.cfg.PingTimeout:
		c.cfg.Logger.Debug("the monitor is silent; trying another", "addr", c.conn.PeerAddrs().String())
		c.hunt()
	default:
		c.pinged = true
		c.conn.Keepalive()
	}
}

// lastSign is when the monitor last proved to be there. The caller holds mu.
func (c *Client) lastSign() time.Time {
	if ack := c.conn.LastKeepaliveAck(); ack.After(c.since) {
		return ack
	}
	return c.since
}

// Connected tells the client of a session with a monitor that was established.
func (c *Client) Connected(conn *msgr.Conn) {
	c.mu.Lock()
	if conn != c.conn || c.closed {
		c.mu.Unlock()
		return
	}
	c.setOpen(true)
	c.order = nil
	c.send(&message.MonSubscribe{What: cloneSubs(c.subs), Hostname: c.cfg.Hostname})
	for _, call := range c.calls {
		c.send(call.body)
	}
	for _, b := range c.waiting {
		c.send(b)
	}
	c.waiting = nil
	c.mu.Unlock()
	if c.cfg.OnSession != nil {
		c.cfg.OnSession()
	}
}

// Reset tells the client that a connection to a monitor is gone or was refused.
func (c *Client) Reset(conn *msgr.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn != c.conn || c.closed {
		return
	}
	wasOpen := c.open
	c.setOpen(false)
	switch {
	case c.stranger:
		// It is of another cluster; asking it again at once would not change that.
		c.stranger, c.conn = false, nil
	case wasOpen:
		c.cfg.Logger.Debug("lost the monitor", "addr", conn.PeerAddrs().String())
		c.hunt()
	case len(c.order) > 0:
		c.hunt() // the others of this round
	}
	// When all have been tried, the hunt interval passes: trying them at full speed
	// helps nobody.
}

// send hands a message to the session. The caller holds mu.
func (c *Client) send(b message.Body) {
	if err := c.conn.Send(message.Encode(b, c.conn.Features())); err != nil {
		c.cfg.Logger.Debug("message to the monitor lost", "type", message.TypeName(b.Type()), "error", err)
	}
}

// Send sends a message to the monitor, now or when a session is there. It may be
// lost with the session.
func (c *Client) Send(b message.Body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case c.open:
		c.send(b)
	case len(c.waiting) < waitingMax:
		c.waiting = append(c.waiting, b)
	}
}

// Subscribe asks for something from version start on. A repeated call with the same
// arguments does nothing; one with others asks anew.
func (c *Client) Subscribe(what string, start uint64, oneTime bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item := message.SubscribeItem{Start: start, OneTime: oneTime}
	if old, ok := c.subs[what]; ok && old == item {
		return
	}
	c.subs[what] = item
	if c.open {
		c.send(&message.MonSubscribe{What: map[string]message.SubscribeItem{what: item}, Hostname: c.cfg.Hostname})
	}
}

// Got says that the subscribed thing has arrived up to the given version.
func (c *Client) Got(what string, version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.subs[what]
	switch {
	case !ok:
	case item.OneTime:
		delete(c.subs, what)
	case version >= item.Start:
		item.Start = version + 1
		c.subs[what] = item
	}
}

func cloneSubs(m map[string]message.SubscribeItem) map[string]message.SubscribeItem {
	out := make(map[string]message.SubscribeItem, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// MonMap returns the newest monitor map; nil before the first.
func (c *Client) MonMap() *osdmap.MonMap {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.monmap
}

// WaitSession waits for a session with a monitor.
func (c *Client) WaitSession(ctx context.Context) error {
	c.mu.Lock()
	ready := c.ready
	c.mu.Unlock()
	return c.wait(ctx, ready)
}

// WaitConfig waits until the monitors' options for us have arrived.
func (c *Client) WaitConfig(ctx context.Context) error { return c.wait(ctx, c.config) }

func (c *Client) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-c.stop:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("no monitor answers: %w", context.Cause(ctx))
	}
}
