package osd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sepiola/hostinfo"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/version"
)

// bootRetry is the time after which an unanswered boot is sent again.
const bootRetry = 10 * time.Second

// boot places the OSD in the CRUSH hierarchy and asks to be marked up. The caller
// holds mapMu.
func (d *Daemon) boot() {
	if !d.is(statePreboot) {
		return
	}
	m := d.current.Load()
	if m.Epoch == 0 {
		return
	}
	if m.TestFlag(osdmap.FlagNoUp) {
		if !d.toldNoUp {
			d.cfg.Logger.Info("waiting to boot: the noup flag is set; \"ceph osd unset noup\" clears it")
		}
		d.toldNoUp = true
		return
	}
	d.toldNoUp = false
	if d.move(statePreboot, stateBooting) {
		d.asks.bootPut()
		d.wg.Add(1)
		go d.placeAndBoot()
	}
}

func (d *Daemon) placeAndBoot() {
	defer d.wg.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-d.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := d.updateCrush(ctx); err != nil && ctx.Err() == nil {
		d.cfg.Logger.Warn("place in the CRUSH hierarchy not updated", "error", err)
	}
	if ctx.Err() == nil {
		d.sendBoot()
	}
}

// bootTick sends the boot again when it had no effect: the monitor may have died
// with it.
func (d *Daemon) bootTick(now time.Time) {
	if d.is(statePreboot) {
		d.mapMu.Lock()
		d.boot()
		d.mapMu.Unlock()
	}
	if d.is(stateBooting) && d.asks.bootDue(now) {
		d.sendBoot()
	}
}

func (d *Daemon) sendBoot() {
	d.asks.bootSent(time.Now())
	// Only the messenger that talks to the monitors is told its address.
	if known := d.nets.public.Addrs(); len(known) > 0 {
		for _, m := range d.nets.all() {
			m.LearnIP(known[0])
		}
	}
	super := d.maps.Super()
	d.mon.Send(&message.OSDBoot{
		Paxos:      message.Paxos{Have: uint64(d.current.Load().Epoch)},
		Superblock: super, HBBackAddrs: d.nets.hbBack.Addrs(), HBFrontAddrs: d.nets.hbFront.Addrs(),
		ClusterAddrs: d.nets.cluster.Addrs(), BootEpoch: d.bootEpoch.Load(),
		Metadata: d.metadata(), Features: msgr.FeaturesAll,
	})
}

// updateCrush places the OSD in the CRUSH hierarchy and names its device class, as
// Ceph's OSD does when it starts (OSD::update_crush_location,
// OSD::update_crush_device_class).
func (d *Daemon) updateCrush(ctx context.Context) error {
	o := d.cfg.Options
	// The class comes first, so that shadows of buckets are made along with them and
	// get the numbers they get in Ceph.
	if o.Bool("osd_class_update_on_start") {
		cmd := map[string]any{"prefix": "osd crush set-device-class", "class": d.deviceClass(),
			"ids": []string{strconv.Itoa(int(d.cfg.WhoAmI))}}
		if err := d.monCommand(ctx, cmd); err != nil {
			return err
		}
	}
	if !o.Bool("osd_crush_update_on_start") {
		return nil
	}
	weight, err := d.crushWeight()
	if err != nil {
		return err
	}
	return d.monCommand(ctx, map[string]any{"prefix": "osd crush create-or-move", "id": int(d.cfg.WhoAmI),
		"weight": weight, "args": d.crushLocation()})
}

func (d *Daemon) monCommand(ctx context.Context, cmd map[string]any) error {
	b, err := json.Marshal(cmd)
	if err != nil {
		return err
	}
	_, status, r, err := d.mon.Command(ctx, string(b), nil)
	// The class of a device that has one stays: EBUSY is the expected answer.
	if err == nil && r < 0 && r != -int32(unix.EBUSY) {
		err = fmt.Errorf("%v: %s: %w", cmd["prefix"], status, unix.Errno(-r))
	}
	return err
}

// crushWeight is the OSD's size in TiB, rounded as Ceph rounds it, unless the
// configuration names another.
func (d *Daemon) crushWeight() (float64, error) {
	if w := d.cfg.Options.Float("osd_crush_initial_weight"); w >= 0 {
		return w, nil
	}
	st, err := d.cfg.Store.Statfs()
	if err != nil {
		return 0, err
	}
	return max(float64(int64(float64(st.Total)/(1<<40)*10000))/10000, 0.00001), nil
}

func (d *Daemon) crushLocation() []string {
	for _, name := range []string{"crush_location", "osd_crush_location"} {
		if loc := d.cfg.Options.String(name); loc != "" {
			return strings.FieldsFunc(loc, func(r rune) bool { return r == ' ' || r == ',' || r == ';' })
		}
	}
	host, _ := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	return []string{"host=" + host, "root=default"}
}

// deviceClass is "hdd" for a rotating disk, otherwise "ssd".
func (d *Daemon) deviceClass() string {
	if rotational(d.cfg.Options.String("osd_data")) {
		return "hdd"
	}
	return "ssd"
}

// rotational asks the kernel about the disk below a path. What cannot be known
// counts as rotating, as in Ceph.
func rotational(path string) bool {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return true
	}
	dev := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	for _, p := range []string{dev + "/queue/rotational", dev + "/../queue/rotational"} {
		if b, err := os.ReadFile(p); err == nil {
			return strings.TrimSpace(string(b)) != "0"
		}
	}
	return true
}

// metadata is what "ceph osd metadata" shows of this OSD.
func (d *Daemon) metadata() map[string]string {
	class, rot := d.deviceClass(), "0"
	if class == "hdd" {
		rot = "1"
	}
	meta := hostinfo.Collect()
	maps.Copy(meta, map[string]string{
		"back_addr": d.nets.cluster.Addrs().String(), "front_addr": d.nets.public.Addrs().String(),
		"hb_back_addr": d.nets.hbBack.Addrs().String(), "hb_front_addr": d.nets.hbFront.Addrs().String(),
		"ceph_release": version.Release, "ceph_version": version.Pretty(), "ceph_version_short": version.Ceph,
		"osd_data": d.cfg.Options.String("osd_data"), "osd_objectstore": d.cfg.Store.Kind(),
		"rotational": rot, "journal_rotational": rot, "default_device_class": class, "sepiola_version": version.Sepiola,
	})
	return meta
}

// monSession: a new session with a monitor; what may have been lost with the old one
// is asked again.
func (d *Daemon) monSession() {
	d.asks.resend(d)
	if d.is(stateBooting) && d.asks.bootWasSent() {
		d.sendBoot()
	}
}

func (d *Daemon) monConfig(values map[string]string) {
	for _, err := range d.cfg.Options.SetMon(values) {
		d.cfg.Logger.Warn("option from the monitors left out", "error", err)
	}
}

// asks are requests to the monitors that hold until a map grants them.
type asks struct {
	mu       sync.Mutex
	upThru   uint32                  // wanted; 0 for nothing
	pgTemp   map[object.PGID][]int32 // wanted and not sent, or not granted
	bootTime time.Time
	sent     time.Time // of the last request
}

func (a *asks) bootSent(now time.Time) {
	a.mu.Lock()
	a.bootTime = now
	a.mu.Unlock()
}

// bootPut says that the next boot is on its way to be sent.
func (a *asks) bootPut() { a.bootSent(time.Time{}) }

func (a *asks) bootDue(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.bootTime.IsZero() && now.Sub(a.bootTime) > bootRetry
}

func (a *asks) bootWasSent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.bootTime.IsZero()
}

// wantUpThru asks for our up_thru to reach an epoch.
func (a *asks) wantUpThru(d *Daemon, epoch uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if epoch > a.upThru {
		a.upThru = epoch
		a.sendAlive(d)
	}
}

// wantPGTemp asks for a temporary acting set.
func (a *asks) wantPGTemp(d *Daemon, pg object.PGID, osds []int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pgTemp == nil {
		a.pgTemp = map[object.PGID][]int32{}
	}
	a.pgTemp[pg] = osds
	a.sendPGTemp(d)
}

// review drops what a map grants or makes moot.
func (a *asks) review(d *Daemon, m *osdmap.Map) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.upThru != 0 && m.Info(d.cfg.WhoAmI).UpThru >= a.upThru {
		a.upThru = 0
	}
	for pg, want := range a.pgTemp {
		_, _, acting, primary := m.PGToUpActing(pg)
		if slices.Equal(m.PGTemp[pg], want) || primary != d.cfg.WhoAmI || slices.Equal(acting, want) {
			delete(a.pgTemp, pg)
		}
	}
}

// remind asks again for what was not granted in osd_mon_report_interval: a monitor
// that loses its place loses what it was asked, and drops what came with an old
// epoch.
func (a *asks) remind(d *Daemon, now time.Time) {
	a.mu.Lock()
	due := now.Sub(a.sent) >= d.cfg.Options.Duration("osd_mon_report_interval")
	a.mu.Unlock()
	if due {
		a.resend(d)
	}
}

// resend asks again for all that is not granted.
func (a *asks) resend(d *Daemon) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sendAlive(d)
	a.sendPGTemp(d)
}

func (a *asks) sendAlive(d *Daemon) {
	if a.upThru != 0 && d.is(stateActive) {
		a.sent = time.Now()
		d.mon.Send(&message.OSDAlive{Paxos: message.Paxos{Have: uint64(d.current.Load().Epoch)}, Want: a.upThru})
	}
}

func (a *asks) sendPGTemp(d *Daemon) {
	if len(a.pgTemp) == 0 || !d.is(stateActive) {
		return
	}
	a.sent = time.Now()
	msg := &message.OSDPGTemp{Paxos: message.Paxos{Have: uint64(d.current.Load().Epoch)}, Epoch: d.current.Load().Epoch}
	for _, pg := range slices.SortedFunc(maps.Keys(a.pgTemp), object.PGID.Compare) {
		msg.PGTemp = append(msg.PGTemp, message.PGTempEntry{PGID: pg, OSDs: a.pgTemp[pg]})
	}
	d.mon.Send(msg)
}
