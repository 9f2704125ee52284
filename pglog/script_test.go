package pglog

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"sepiola/object"
)

var moreCases = flag.String("cases", "", "a further folder of scripts in the format of testdata/README.md")

// TestScripts protects reconciling logs: stories as text, in the format that
// testdata/README.md describes.
func TestScripts(t *testing.T) {
	for _, dir := range []string{"testdata", *moreCases} {
		if dir == "" {
			continue
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no scripts in %s (%v)", dir, err)
		}
		for _, f := range files {
			t.Run(filepath.Base(f), func(t *testing.T) {
				env := &scriptEnv{t: t, copies: map[string]Copy{}}
				datadriven.RunTest(t, f, env.run)
			})
		}
	}
}

// scriptEnv holds the copies that a script has named.
type scriptEnv struct {
	t      *testing.T
	copies map[string]Copy
}

func (s *scriptEnv) run(t *testing.T, d *datadriven.TestData) string {
	out, err := s.step(d)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	return out
}

func (s *scriptEnv) step(d *datadriven.TestData) (string, error) {
	get := func(name string) Copy {
		c, ok := s.copies[name]
		if !ok {
			d.Fatalf(s.t, "no copy %q", name)
		}
		return c
	}
	switch d.Cmd {
	case "copy":
		c, err := parseCopy(d)
		if err == nil {
			s.copies[d.CmdArgs[0].Key] = c
		}
		return "", err
	case "merge":
		auth := get("auth")
		p, err := MergeLog(get("own"), auth.Log.Log(), &auth.Info)
		if _, adopt := argOf(d, "adopt"); adopt && err == nil {
			s.copies["own"] = p.Copy
		}
		return describePlan(p, err)
	case "rewind":
		p, err := RewindDivergent(get("own"), versionArg(d, "to"))
		return describePlan(p, err)
	case "reset":
		p, err := ResetForBackfill(get("own"), get("auth").Log.Log())
		return describePlan(p, err)
	case "replica":
		peer, auth := get("own"), get("auth")
		return describeReplica(auth, peer)
	case "lookup":
		return lookup(get("own").Log, d)
	case "trim":
		c := get("own")
		return trim(c, d)
	case "show":
		return describeCopy(get(d.CmdArgs[0].Key)), nil
	case "since":
		l := get("own").Log.Since(versionArg(d, "after"), numArg(d, "dups", 3000))
		return describeLog(l), nil
	case "last":
		l := get("own").Log.Last(int(numArg(d, "n", 0)), numArg(d, "dups", 3000))
		return describeLog(l), nil
	case "add":
		c := get("own")
		return "", c.add(d)
	case "missed":
		c := get("own")
		return c.missed(d)
	case "revise":
		c := get("own")
		o := objectNamed(d.CmdArgs[0].Key)
		if _, ok := argOf(d, "need"); ok {
			_, del := argOf(d, "delete")
			c.Missing.ReviseNeed(o, versionArg(d, "need"), del)
		} else {
			c.Missing.ReviseHave(o, versionArg(d, "have"))
		}
		return describeMissing(c.Missing), nil
	case "rebuild":
		c := get("own")
		m, err := RebuildMissing(c, storeOf(d))
		if err != nil {
			return "", err
		}
		return describeMissing(m), nil
	case "split":
		return split(get("own"), uint32(numArg(d, "pg", 0)), uint32(numArg(d, "from", 1)), uint32(numArg(d, "to", 2))), nil
	case "got":
		c := get("own")
		err := c.RecoverGot(objectNamed(d.CmdArgs[0].Key), versionArg(d, "v"))
		s.copies["own"] = c
		return describeCopy(c), err
	}
	return "", fmt.Errorf("no command %q", d.Cmd)
}

// add appends entries to a copy as a write does, without touching the missing set.
func (c *Copy) add(d *datadriven.TestData) error {
	for line := range strings.Lines(d.Input) {
		n, err := parseEntry(strings.Fields(line))
		if err != nil {
			return err
		}
		if err := c.Log.Append(n); err != nil {
			return err
		}
	}
	return nil
}

// missed extends a copy's missing set by entries, as if they had come in a log.
func (c *Copy) missed(d *datadriven.TestData) (string, error) {
	var entries []*Entry
	for line := range strings.Lines(d.Input) {
		n, err := parseEntry(strings.Fields(line))
		if err != nil {
			return "", err
		}
		entries = append(entries, n)
	}
	removed := c.Missing.AddEntries(entries, c.Info.LastBackfill)
	out := describeMissing(c.Missing)
	for _, o := range removed {
		out += fmt.Sprintf("remove %s\n", nameOf(o))
	}
	return out, nil
}

// storeOf reads what a store has: "OBJECT VERSION".
func storeOf(d *datadriven.TestData) func(object.ID) (Version, bool, error) {
	store := map[object.ID]Version{}
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		store[objectNamed(f[0])] = mustVersion(f[1])
	}
	return func(o object.ID) (Version, bool, error) {
		v, ok := store[o]
		return v, ok, nil
	}
}

// split shows a copy's parts, the parent's first.
func split(c Copy, seed, from, to uint32) string {
	pg := object.PGID{Pool: 1, Seed: seed}
	c.Info.PGID = pg.Whole()
	var b strings.Builder
	parent, children := Split(c, SplitMember{PGID: pg.Whole()}, membersOf(pg, from, to), to, 50)
	for _, p := range append([]Copy{parent}, children...) {
		fmt.Fprintf(&b, "%v %s", p.Info.PGID, describeCopy(p))
	}
	return b.String()
}

// objectNamed returns the object of a script's name: "NAME", "NAME:SNAP", and
// "NAME@HASH" in hexadecimal where the hash matters.
func objectNamed(name string) object.ID {
	name, snap, isClone := strings.Cut(name, ":")
	o := object.Head(1, "", "", name, object.PlacementHash(object.HashRjenkins, "", "", name[:1]))
	if _, hash, ok := strings.Cut(name, "@"); ok {
		h, _ := strconv.ParseUint(hash, 16, 32)
		o.Hash = uint32(h)
	}
	if isClone {
		v, _ := strconv.ParseUint(snap, 10, 64)
		o.Snap = object.SnapID(v)
	}
	return o
}

func nameOf(o object.ID) string {
	switch {
	case o.IsMax():
		return "max"
	case o.IsHead():
		return o.Name
	}
	return fmt.Sprintf("%s:%d", o.Name, o.Snap)
}

func mustVersion(s string) Version {
	v, err := ParseVersion(s)
	if err != nil {
		panic(err)
	}
	return v
}

func argOf(d *datadriven.TestData, key string) (string, bool) {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			return strings.Join(a.Vals, ""), true
		}
	}
	return "", false
}

func versionArg(d *datadriven.TestData, key string) Version {
	s, ok := argOf(d, key)
	if !ok {
		return Version{}
	}
	return mustVersion(s)
}

func numArg(d *datadriven.TestData, key string, otherwise uint64) uint64 {
	s, ok := argOf(d, key)
	if !ok {
		return otherwise
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return v
}

// parseCopy reads a log, its missing set and its duplicates.
func parseCopy(d *datadriven.TestData) (Copy, error) {
	l := Log{Tail: versionArg(d, "tail"), Head: versionArg(d, "head"), CanRollbackTo: versionArg(d, "crt")}
	c := Copy{Info: NewInfo(object.PGID{Pool: 1}.Whole()), Missing: NewMissing()}
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || strings.HasPrefix(f[0], "#"):
		case f[0] == "missing":
			c.Missing.Add(objectNamed(f[1]), mustVersion(f[2]), mustVersion(f[3]), slices.Contains(f[4:], "delete"))
		case f[0] == "dup":
			u, err := parseDup(f[1:])
			if err != nil {
				return c, err
			}
			l.Dups = append(l.Dups, u)
		default:
			n, err := parseEntry(f)
			if err != nil {
				return c, err
			}
			l.Entries = append(l.Entries, *n)
		}
	}
	if n := len(l.Entries); n > 0 && l.Head.IsZero() {
		l.Head = l.Entries[n-1].Version
	}
	if len(l.Entries) > 0 && l.Tail.IsZero() && !slices.ContainsFunc(d.CmdArgs, func(a datadriven.CmdArg) bool { return a.Key == "tail" }) {
		l.Tail = l.Entries[0].Version
		l.Tail.V--
	}
	log, err := Index(l)
	if err != nil {
		return c, err
	}
	c.Log = log
	c.Info.LastUpdate, c.Info.LogTail = l.Head, l.Tail
	c.Info.History.EpochCreated = 1
	if lb, ok := argOf(d, "last-backfill"); ok {
		c.Info.LastBackfill = objectNamed(lb)
	}
	_, noDeletes := argOf(d, "deletes")
	c.Missing.IncludesDeletes = !noDeletes
	c.Missing.changed = nil
	c.ResetLastComplete()
	return c, nil
}

// parseEntry reads "VERSION OP OBJECT [(PRIOR)] [rb] [req=R] [extra=R] [uv=N] [rc=N]".
func parseEntry(f []string) (*Entry, error) {
	if len(f) < 3 {
		return nil, fmt.Errorf("%q is no entry", f)
	}
	op, err := ParseEntryOp(f[1])
	if err != nil {
		return nil, err
	}
	n := NewEntry(op, objectNamed(f[2]), mustVersion(f[0]), Version{})
	for _, w := range f[3:] {
		key, value, _ := strings.Cut(w, "=")
		switch {
		case strings.HasPrefix(w, "("):
			n.PriorVersion = mustVersion(strings.Trim(w, "()"))
		case w == "rb":
			n.ModDesc = NewModDesc()
		case key == "req":
			n.ReqID, err = ParseReqID(value)
		case key == "extra":
			var r ReqID
			r, err = ParseReqID(value)
			n.ExtraReqIDs = append(n.ExtraReqIDs, ExtraReqID{r, uint64(len(n.ExtraReqIDs)) + 1})
		case key == "uv":
			n.UserVersion, err = strconv.ParseUint(value, 10, 64)
		case key == "rc":
			var rc int64
			rc, err = strconv.ParseInt(value, 10, 32)
			n.ReturnCode = int32(rc)
		case key == "revert":
			n.RevertingTo = mustVersion(value)
		default:
			return nil, fmt.Errorf("%q in an entry", w)
		}
		if err != nil {
			return nil, err
		}
	}
	return &n, nil
}

// parseDup reads "VERSION REQ [rc=N]".
func parseDup(f []string) (Dup, error) {
	r, err := ParseReqID(f[1])
	v := mustVersion(f[0])
	u := Dup{ReqID: r, Version: v, UserVersion: v.V}
	for _, w := range f[2:] {
		rc, _ := strconv.ParseInt(strings.TrimPrefix(w, "rc="), 10, 32)
		u.ReturnCode = int32(rc)
	}
	return u, err
}

func describeLog(l Log) string {
	var b strings.Builder
	fmt.Fprintf(&b, "log (%v,%v] crt %v\n", l.Tail, l.Head, l.CanRollbackTo)
	for _, u := range l.Dups {
		fmt.Fprintf(&b, "  dup %v %v rc=%d\n", u.Version, u.ReqID, u.ReturnCode)
	}
	for _, n := range l.Entries {
		fmt.Fprintf(&b, "  %v %v %s (%v)\n", n.Version, n.Op, nameOf(n.Object), n.PriorVersion)
	}
	return b.String()
}

func describeMissing(m *Missing) string {
	var b strings.Builder
	for o, i := range m.ByNeed(Version{}) {
		fmt.Fprintf(&b, "missing %s %v %v", nameOf(o), i.Need, i.Have)
		if i.Delete {
			b.WriteString(" delete")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func describeCopy(c Copy) string {
	return describeLog(c.Log.Log()) +
		fmt.Sprintf("info update %v complete %v tail %v\n", c.Info.LastUpdate, c.Info.LastComplete, c.Info.LogTail) +
		describeMissing(c.Missing)
}

func describePlan(p Plan, err error) (string, error) {
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(describeCopy(p.Copy))
	for _, o := range p.Remove {
		fmt.Fprintf(&b, "remove %s\n", nameOf(o))
	}
	for _, n := range p.Rollback {
		fmt.Fprintf(&b, "roll back %v\n", n.Version)
	}
	d := p.Copy.Log.delta
	var put, del []Version
	for v := range d.put {
		put = append(put, v)
	}
	for v := range d.del {
		del = append(del, v)
	}
	slices.SortFunc(put, Version.Compare)
	slices.SortFunc(del, Version.Compare)
	if len(del) > 0 {
		fmt.Fprintf(&b, "erase entries %v\n", del)
	}
	if len(put) > 0 {
		fmt.Fprintf(&b, "write entries %v\n", put)
	}
	if !p.Changed {
		b.WriteString("nothing changed\n")
	}
	return b.String(), nil
}

// describeReplica shows what a primary makes of a peer, and what the peer will miss
// once it has the rest of the authoritative log.
func describeReplica(auth, peer Copy) (string, error) {
	info, missing, err := ProcReplicaLog(auth.Log, peer.Log.Log(), &peer.Info, peer.Missing)
	if err != nil {
		return "", err
	}
	out := fmt.Sprintf("info update %v complete %v\n", info.LastUpdate, info.LastComplete) + describeMissing(missing)
	missing.AddEntries(auth.Log.EntriesAfter(info.LastUpdate), info.LastBackfill)
	return out + "with the rest of the log\n" + describeMissing(missing), nil
}

func lookup(l *IndexedLog, d *datadriven.TestData) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(d.Input) {
		r, err := ParseReqID(strings.TrimSpace(line))
		if err != nil {
			return "", err
		}
		if got, ok := l.Lookup(r); ok {
			fmt.Fprintf(&b, "%v: %v uv %d rc %d\n", r, got.Version, got.UserVersion, got.ReturnCode)
		} else {
			fmt.Fprintf(&b, "%v: not known\n", r)
		}
	}
	return b.String(), nil
}

func trim(c Copy, d *datadriven.TestData) (string, error) {
	o := TrimOptions{Target: numArg(d, "target", 250), Min: numArg(d, "min", 1), Max: numArg(d, "max", 10000),
		DupsTracked: numArg(d, "dups", 3000)}
	to := versionArg(d, "to")
	if limit, ok := argOf(d, "limit"); ok {
		to = c.Log.TrimTarget(mustVersion(limit), o)
	}
	n := c.Log.Trim(to, o)
	return fmt.Sprintf("trimmed %d entries up to %v\n", n, to) + describeLog(c.Log.Log()), nil
}
