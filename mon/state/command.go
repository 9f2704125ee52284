package state

import (
	"encoding/json"
	"fmt"
	"syscall"
	"time"

	"sepiola/command"
	"sepiola/entity"
	"sepiola/object"
)

// Command is one proposal: exactly one field is set.
type Command struct {
	Genesis    *Genesis    `json:",omitempty"`
	Admin      *Admin      `json:",omitempty"`
	Boot       *Boot       `json:",omitempty"`
	MarkDown   *MarkDown   `json:",omitempty"`
	MarkDead   *MarkDead   `json:",omitempty"`
	MarkOut    *MarkOut    `json:",omitempty"`
	Alive      *Alive      `json:",omitempty"`
	PGTemp     *PGTemp     `json:",omitempty"`
	PGCreated  *PGCreated  `json:",omitempty"`
	Fullness   *Fullness   `json:",omitempty"`
	Tick       *Tick       `json:",omitempty"`
	Log        *Log        `json:",omitempty"`
	ReserveIDs *ReserveIDs `json:",omitempty"`
	Mgr        *MgrActive  `json:",omitempty"`
	MonMeta    *MonMeta    `json:",omitempty"`
	PoolOp     *PoolOp     `json:",omitempty"`
	PoolUse    *PoolUse    `json:",omitempty"`
}

// Encode returns the command as it stands in the log.
func (c Command) Encode() []byte {
	p, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("encode command: %v", err)) // all fields are plain data
	}
	return p
}

// Settings are the options that decisions depend on, as they were where the
// command was proposed. Names are those of Ceph's options.
type Settings struct {
	PoolSize          int64  // osd_pool_default_size
	PoolMinSize       int64  // osd_pool_default_min_size; 0: half of the size, rounded up
	PoolPGNum         int64  // osd_pool_default_pg_num
	PoolPGPNum        int64  // osd_pool_default_pgp_num; 0: as pg_num
	PoolCrushRule     int64  // osd_pool_default_crush_rule; -1: the first replicated one
	AutoscaleMode     string // osd_pool_default_pg_autoscale_mode
	MaxPoolPGNum      int64  // mon_max_pool_pg_num
	MaxPGPerOSD       int64  // mon_max_pg_per_osd
	AllowPGNumChange  bool   // mon_allow_pool_pg_num_change
	AllowPoolDelete   bool   // mon_allow_pool_delete
	AllowPoolSizeOne  bool   // mon_allow_pool_size_one
	ChooseleafType    int64  // osd_crush_chooseleaf_type
	AutoMarkIn        bool   // mon_osd_auto_mark_in
	AutoMarkNewIn     bool   // mon_osd_auto_mark_new_in
	AutoMarkAutoOutIn bool   // mon_osd_auto_mark_auto_out_in
	LaggyWeight       float64
	LaggyMaxInterval  int64
	MinEpochs         uint32  // mon_min_osdmap_epochs
	BlocklistExpire   float64 // mon_osd_blocklist_default_expire, seconds
	LogMax            int     // mon_log_max entries kept
}

// Genesis makes the first state. It is ignored when there is one.
type Genesis struct {
	FSID     entity.UUID
	MonMap   []byte
	Settings Settings
}

// Admin is a command of an operator or client (MMonCommand) that may change
// something.
type Admin struct {
	Args     command.Args
	Input    []byte
	Settings Settings
	Who      string // names the client for the audit log
}

// Boot is an OSD that asks to be marked up (MOSDBoot).
type Boot struct {
	OSD         int32
	UUID        entity.UUID // of its store
	Features    uint64
	BootEpoch   uint32 // 0: never up before in this process
	Have        uint32 // the newest map it had when it asked
	CleanBegin  uint32 // superblock's mounted
	CleanEnd    uint32 // superblock's clean_thru
	ClientAddrs entity.AddrVec
	ClusterAddr entity.AddrVec
	HBBack      entity.AddrVec
	HBFront     entity.AddrVec
	Metadata    map[string]string
	LastPurged  time.Time
	Settings    Settings
}

// MarkDown marks OSDs down.
type MarkDown struct {
	OSDs []int32
	// Addr unless nil must be the OSD's own for it to be marked, so that a new
	// incarnation does not suffer for the old.
	Addr   entity.AddrVec
	Dead   bool   // also note that it is dead, not just unreachable
	Reason string // for the cluster log; "" logs nothing
	// MinUpRatio is the share of OSDs below which, once fewer are up, none is
	// marked down (mon_osd_min_up_ratio).
	MinUpRatio float64
}

// MarkDead notes that an OSD that is down is dead as of an epoch
// (MOSDMarkMeDead): it cannot come back and serve what it served.
type MarkDead struct {
	OSD   int32
	Epoch uint32
}

// MarkOut marks OSDs out because they have been down for long.
type MarkOut struct {
	OSDs  []int32
	After map[int32]int64 // seconds down, for the log
	// MinInRatio is the share of OSDs below which, once fewer are in, none is
	// marked out (mon_osd_min_in_ratio).
	MinInRatio float64
}

// Alive asks for up_thru to be raised (MOSDAlive).
type Alive struct {
	OSD   int32
	Addrs entity.AddrVec
	Epoch uint32 // map the OSD has
}

// PGTemp asks for temporary mappings (MOSDPGTemp).
type PGTemp struct {
	OSD    int32
	Addrs  entity.AddrVec
	Epoch  uint32
	Forced bool
	PGs    []PGMapping
}

// PGMapping is a PG and its wanted acting set; empty removes the mapping.
type PGMapping struct {
	PG   object.PGID
	OSDs []int32
}

// PGCreated reports created PGs (MOSDPGCreated).
type PGCreated struct {
	OSD   int32
	Addrs entity.AddrVec
	PGs   []object.PGID
}

// Fullness sets an OSD's full, backfillfull and nearfull flags (MOSDFull).
type Fullness struct {
	OSD   int32
	Addrs entity.AddrVec
	State uint32 // osdmap.OSDFull and friends
}

// Tick lets time pass: blocklist entries expire, old epochs are trimmed.
type Tick struct {
	Settings Settings
}

// Log appends to the cluster log.
type Log struct {
	Entries []LogEntry
	Max     int // entries kept
}

// ReserveIDs sets aside global ids for the proposer. The answer's Value is the
// first of Count.
type ReserveIDs struct{ Count uint64 }

// MgrActive names the active manager.
type MgrActive struct {
	Name     string
	GID      uint64
	Addrs    entity.AddrVec
	Features uint64
	Metadata map[string]string
}

// MonMeta stores a monitor's metadata.
type MonMeta struct {
	Name     string
	Metadata map[string]string
}

// PoolOp is a pool operation of librados (MPoolOp). The answer's Value is the
// epoch in which it shows.
type PoolOp struct {
	Op       uint32
	Pool     int64
	Name     string
	SnapID   uint64
	Rule     int
	Settings Settings
}

// Reply is the answer to a command.
type Reply struct {
	Code   int32  // 0 or a negative errno
	Status string // a sentence for the operator's terminal (outs)
	Out    []byte // output (outbl)
	Value  any
	// Again says that the command has to be proposed once more: a first part of
	// its work has been done.
	Again bool
}

func failed(code syscall.Errno, format string, args ...any) Reply {
	return Reply{Code: -int32(code), Status: fmt.Sprintf(format, args...)}
}

func done(format string, args ...any) Reply {
	return Reply{Status: fmt.Sprintf(format, args...)}
}
