package mon

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sepiola/jsonfmt"
	"sepiola/mon/pgmap"
)

// progressCommands are those of the progress module of Ceph's manager.
var progressCommands = []entry{
	{spec("progress", "Show progress of recovery operations", "mgr", "r", flagMgr), (*Monitor).cmdProgress},
	{spec("progress json", "Show machine readable progress information", "mgr", "r", flagMgr), (*Monitor).cmdProgressJSON},
	{spec("progress clear", "Reset progress tracking", "mgr", "rw", flagMgr), (*Monitor).cmdProgressClear},
	{spec("progress on", "Enable progress tracking", "mgr", "rw", flagMgr), (*Monitor).cmdProgressSwitch},
	{spec("progress off", "Disable progress tracking", "mgr", "rw", flagMgr), (*Monitor).cmdProgressSwitch},
}

// barCells is how wide a bar is, in cells between its brackets.
const barCells = 28

// eventText tells an event in two lines, the second indented.
func eventText(e *pgmap.Event, indent int, now time.Time) string {
	full := int(e.Progress * barCells)
	left := ""
	if d, ok := e.Remaining(now); ok && d > 0 {
		left = "(remaining: " + wholeSeconds(d) + ")"
	}
	return fmt.Sprintf("%s (%s)\n%s[%s%s] %s", e.Message, wholeSeconds(e.Duration(now)), strings.Repeat(" ", indent),
		strings.Repeat("=", full), strings.Repeat(".", barCells-full), left)
}

func wholeSeconds(d time.Duration) string { return jsonfmt.Timespan(d.Truncate(time.Second)) }

func (m *Monitor) cmdProgress(*query) reply {
	if len(m.progress.Events)+len(m.progress.Done) == 0 {
		return reply{status: "Nothing in progress"}
	}
	var b strings.Builder
	for _, e := range slices.Backward(m.progress.Events) {
		b.WriteString(eventText(e, 4, m.now()) + "\n")
	}
	if len(m.progress.Done) > 0 {
		b.WriteString("\n")
	}
	for _, e := range m.progress.Done {
		b.WriteString("[Complete]: " + eventText(e, 4, m.now()) + "\n")
	}
	return reply{out: []byte(b.String())}
}

// eventRefs is what an event is about: an OSD, or everything.
func eventRefs(e *pgmap.Event) [][2]any {
	if e.OSD < 0 {
		return [][2]any{{"global", ""}}
	}
	return [][2]any{{"osd", e.OSD}}
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func (m *Monitor) cmdProgressJSON(*query) reply {
	events, done := []map[string]any{}, []map[string]any{}
	for _, e := range m.progress.Events {
		var left any
		if d, ok := e.Remaining(m.now()); ok {
			left = int64(d / time.Second)
		}
		events = append(events, map[string]any{"id": e.ID, "message": e.Message, "duration": "(" + wholeSeconds(e.Duration(m.now())) + ")",
			"refs": eventRefs(e), "progress": e.Progress, "started_at": unixSeconds(e.Began), "time_remaining": left})
	}
	for _, e := range m.progress.Done {
		done = append(done, map[string]any{"id": e.ID, "message": e.Message, "refs": eventRefs(e),
			"started_at": unixSeconds(e.Began), "finished_at": unixSeconds(e.Finished), "add_to_ceph_s:": e.OSD < 0})
	}
	p, err := json.MarshalIndent(map[string]any{"events": events, "completed": done}, "", "    ")
	if err != nil {
		panic(fmt.Sprintf("encode progress: %v", err)) // plain data throughout
	}
	return reply{out: append(p, '\n')}
}

func (m *Monitor) cmdProgressClear(*query) reply {
	m.progress.Clear()
	return reply{}
}

func (m *Monitor) cmdProgressSwitch(q *query) reply {
	on, word := q.args.Prefix() == "progress on", "disabled"
	if on {
		word = "enabled"
	}
	if m.progress.On() == on {
		return reply{status: "progress already " + word + "!"}
	}
	m.progress.Switch(on)
	return reply{status: "progress " + word}
}

// progressSummary is the "progress" part of the status. As in Ceph only the event
// of all PGs is told there.
func (m *Monitor) progressSummary() string {
	if len(m.progress.Events) == 0 {
		return ""
	}
	s := " \n  progress:\n"
	for _, e := range m.progress.Events {
		if e.OSD < 0 {
			s += "    " + eventText(e, 6, m.now()) + "\n"
		}
	}
	return s + "\n"
}

func (m *Monitor) progressEventsJSON(w *jsonfmt.Writer) {
	w.OpenObject("progress_events")
	for _, e := range m.progress.Events {
		w.OpenObject(e.ID)
		w.String("message", eventText(e, 6, m.now()))
		w.Float("progress", e.Progress)
		w.Bool("add_to_ceph_s", e.OSD < 0)
		w.Close()
	}
	w.Close()
}
