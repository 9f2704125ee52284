package sim

import "testing"

// fixedSeeds once showed something. What a seed does changes with the code, so
// these are no regression tests by themselves, but they are where trouble was.
var fixedSeeds = []struct {
	seed   uint64
	faults string
	found  string
}{
	{122, "all", "two writes of one client on one object were swapped when several operations waited for it"},
	{185, "all", "likewise, when one waited for backfill and the other for a write in flight"},
	{4, "maps,out,reweight", "a primary's question to a copy that was being removed was lost"},
	{52, "out,reweight", "clients' operations were lost that reached a copy being removed, whose OSD was to lead"},
	{1125, "all", "and those that came before their map did"},
	{1377, "all", "a copy that missed an object after a merge said that it missed nothing"},
	{53, "all", "an OSD that was marked down before it knew that it was up"},
	{650, "all", "a disk that was full before the pool was"},
	{2258, "all", "an object that could not be read was not looked for again"},
	{39, "all", "an operation that waited was swapped with one that came later when leases ran out"},
	{215, "all", "what was sent before a backoff was heard of passed what the client had to keep"},
	{7, "all", "statistics of a replica after a split"},
	{700000047, "all", "a pull from a stray that went down and came back"},
	// Seeds that catch deliberate bugs: divergent entries forgotten by a merge, a copy
	// under backfill chosen for its log, a resend answered before the write is durable.
	{339, "delay,crash,minsize,resend,slow", ""}, {156, "all", ""}, {32, "all", ""},
}

// What was found once is not found again.
func TestFixedSeeds(t *testing.T) {
	for _, c := range fixedSeeds {
		o := DefaultOptions()
		o.Seed = c.seed
		var err error
		if o.Faults, err = ParseFaults(c.faults); err != nil {
			t.Fatal(err)
		}
		if v := Run(o).Violation; v != nil {
			t.Errorf("seed %d (%s): found by %s at event %d: %s\n%s", c.seed, c.found, v.Checker, v.Step, v.Message, v.Replay)
		}
	}
}
