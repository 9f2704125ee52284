package state

import (
	"fmt"
	"time"

	"sepiola/entity"
)

// LogLevel is the priority of a cluster log entry (clog_type in
// src/common/LogEntry.h).
type LogLevel int16

// The priorities.
const (
	LogDebug LogLevel = 0
	LogInfo  LogLevel = 1
	LogSec   LogLevel = 2
	LogWarn  LogLevel = 3
	LogError LogLevel = 4
)

// String returns Ceph's short form in brackets: [INF].
func (l LogLevel) String() string {
	switch l {
	case LogDebug:
		return "[DBG]"
	case LogInfo:
		return "[INF]"
	case LogSec:
		return "[SEC]"
	case LogWarn:
		return "[WRN]"
	case LogError:
		return "[ERR]"
	}
	return "[???]"
}

// LogEntry is a line of the cluster log.
type LogEntry struct {
	Name    string // of who logged: osd.1
	Rank    entity.Name
	Addrs   entity.AddrVec
	Stamp   time.Time
	Seq     uint64 // of who logged
	Level   LogLevel
	Text    string
	Channel string // cluster, audit
}

// Bounds of the stored log.
const (
	defaultLogMax   = 10000
	maxLogTextBytes = 8192
)

// log notes a line of the monitors' own.
func (t *txn) log(level LogLevel, format string, args ...any) {
	e := LogEntry{
		Name: "mon", Stamp: t.now, Level: level, Text: fmt.Sprintf(format, args...), Channel: "cluster",
		Rank: entity.Mon(t.rank), Seq: t.s.NextLog + uint64(len(t.logged)),
	}
	if mm := t.s.MonMap; t.rank >= 0 && t.rank < len(mm.Ranks) {
		e.Name, e.Addrs = "mon."+mm.Ranks[t.rank], mm.AddrsOf(t.rank)
	}
	t.logged = append(t.logged, e)
}

func (t *txn) appendLog(c *Log) Reply {
	t.logged = append(t.logged, c.Entries...)
	t.logMax = c.Max
	return Reply{}
}

// writeLog stores what was logged and drops the oldest lines beyond the bound.
func (t *txn) writeLog() {
	if len(t.logged) == 0 {
		return
	}
	limit := t.logMax
	if limit <= 0 {
		limit = defaultLogMax
	}
	// Readers hold shorter slices of the same array, which stay as they are.
	list := t.s.ClusterLog
	for _, e := range t.logged {
		if len(e.Text) > maxLogTextBytes {
			e.Text = e.Text[:maxLogTextBytes]
		}
		t.putJSON(logKey(t.s.NextLog), e)
		t.s.NextLog++
		list = append(list, e)
	}
	if drop := len(list) - limit; drop > 0 {
		first := t.s.NextLog - uint64(len(list))
		for i := range drop {
			t.remove(logKey(first + uint64(i)))
		}
		list = list[drop:]
	}
	t.s.ClusterLog = list
}

func logKey(n uint64) string { return fmt.Sprintf("%s%012d", keyLog, n) }

func osdMetaKey(osd int32) string { return fmt.Sprintf("%s%d", keyOSDMeta, osd) }
