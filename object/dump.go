package object

import "sepiola/jsonfmt"

// DumpJSON writes the fields of the id into the object that is open
// (hobject_t::dump). The head's snapshot is -2 there, as in Ceph.
func (o ID) DumpJSON(w *jsonfmt.Writer) {
	w.String("oid", o.Name)
	w.String("key", o.Key)
	w.Int("snapid", int64(o.Snap))
	w.Int("hash", int64(o.Hash))
	w.Int("max", flag(o.Max))
	w.Int("pool", o.Pool)
	w.String("namespace", o.Namespace)
}

// DumpJSON writes the fields of the id into the object that is open
// (ghobject_t::dump). There are two called "max", as in Ceph.
func (g GID) DumpJSON(w *jsonfmt.Writer) {
	g.ID.DumpJSON(w)
	if g.Gen != NoGen {
		w.Int("generation", int64(g.Gen))
	}
	if g.Shard != NoShard {
		w.Int("shard_id", int64(g.Shard))
	}
	w.Int("max", flag(g.GMax))
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
