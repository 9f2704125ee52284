package mon

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"sepiola/message"
	"sepiola/mon/state"
	"sepiola/object"
	"sepiola/pglog"
)

// bytesString prints a number of bytes with a binary unit (byte_u_t in
// src/include/types.h): "871 MiB", "7.3 GiB".
func bytesString(v uint64) string {
	return scaled(v, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"})
}

// countString prints a number with a decimal unit (si_u_t): "12k".
func countString(v uint64) string {
	return scaled(v, 1000, []string{"", "k", "M", "G", "T", "P", "E"})
}

// scaled prints with as many of two decimals as fit in seven characters.
func scaled(v, base uint64, units []string) string {
	n, mult, i := v, uint64(1), 0
	for n >= base && i < len(units)-1 {
		n /= base
		mult *= base
		i++
	}
	if v%mult == 0 {
		return strconv.FormatUint(n, 10) + units[i]
	}
	s := ""
	for prec := 2; prec >= 0; prec-- {
		s = strconv.FormatFloat(float64(v)/float64(mult), 'f', prec, 64) + units[i]
		if len(s) <= 7 {
			break
		}
	}
	return s
}

// percentString prints a percentage with two decimals, a tiny one as 0
// (percentify in src/mon/PGMap.cc).
func percentString(v float32) string {
	if v < 0.01 {
		return "0"
	}
	return fmt.Sprintf("%.2f", v)
}

func sortedPGs[V any](m map[object.PGID]V) []object.PGID {
	return slices.SortedFunc(maps.Keys(m), object.PGID.Compare)
}

func pgList(pg ...object.PGID) []object.PGID { return pg }

func firstHistory(p message.PGCreate) pglog.History { return pglog.NewHistory(p.Epoch, p.Stamp) }

// logLevels are the names of the cluster log's priorities.
var logLevels = map[string]state.LogLevel{
	"debug": state.LogDebug, "info": state.LogInfo, "sec": state.LogSec, "warn": state.LogWarn, "error": state.LogError,
}

func logEntryMessage(e state.LogEntry) message.LogEntry {
	name := message.EntityName{Type: e.Rank.Type, ID: e.Name}
	if kind, id, ok := cutName(e.Name); ok {
		name = message.EntityName{Type: kind, ID: id}
	}
	return message.LogEntry{Name: name, Rank: e.Rank, Addrs: e.Addrs, Stamp: e.Stamp, Seq: e.Seq,
		Level: message.LogLevel(e.Level), Message: e.Text, Channel: e.Channel}
}
