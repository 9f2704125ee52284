package pglog

import (
	"fmt"
	"sort"

	"sepiola/object"
)

// ProcReplicaLog returns a peer's info and missing set as they will be once it has
// dropped what diverges from the authoritative log
// (PGLog::proc_replica_log). olog, oinfo and omissing are the peer's own. It
// changes nothing that it is given.
//
// The primary later tells the peer what follows its last update, and extends
// the peer's missing set by the same entries.
func ProcReplicaLog(auth *IndexedLog, olog Log, oinfo *Info, omissing *Missing) (Info, *Missing, error) {
	peer, err := Index(olog)
	if err != nil {
		return Info{}, nil, fmt.Errorf("%w: peer's %v", ErrInconsistent, err)
	}
	m := newMerger(Copy{Log: peer, Info: *oinfo, Missing: omissing})
	peer = m.Copy.Log
	info := &m.Copy.Info
	if olog.Head.Less(auth.tail) || olog.Head == auth.head {
		return *info, m.Copy.Missing, nil
	}
	common := peer.commonWith(auth)
	bound := peer.canRollbackTo
	divergent := peer.Rewind(common)
	if err := m.resolve(divergent, common, bound); err != nil {
		return Info{}, nil, err
	}
	info.LastUpdate = MinOf(info.LastUpdate, common)
	info.LastComplete = info.LastUpdate
	if m.Copy.Missing.Len() > 0 {
		info.LastComplete = lastBefore(olog.Entries, m.Copy.Missing.OldestNeed())
	}
	return *info, m.Copy.Missing, nil
}

// lastBefore returns the version of the newest entry before v; zero if there is
// none.
func lastBefore(entries []Entry, v Version) Version {
	i := sort.Search(len(entries), func(i int) bool { return !entries[i].Version.Less(v) })
	if i == 0 {
		return Version{}
	}
	return entries[i-1].Version
}

// RecoverGot records that the copy now has an object in version v, and moves
// LastComplete on as far as nothing is missing. It is no error if the object was
// not missing, or is by now missing in a later version.
func (s *Copy) RecoverGot(o object.ID, v Version) error {
	if !s.Missing.HasUpTo(o, v) {
		return nil
	}
	if err := s.Missing.Got(o, v); err != nil {
		return err
	}
	s.Info.Stats.Stats.Sum.NumObjectsMissing = int64(s.Missing.Len())
	if s.Missing.Len() == 0 {
		s.Info.LastComplete = s.Info.LastUpdate
		return nil
	}
	s.Info.LastComplete = MaxOf(s.Info.LastComplete, s.completeTo())
	return nil
}

// ResetLastComplete sets LastComplete to the newest version before everything
// missing, as at activation (PGLog::activate_not_complete).
func (s *Copy) ResetLastComplete() {
	if s.Missing.Len() == 0 {
		s.Info.LastComplete = s.Info.LastUpdate
		return
	}
	s.Info.LastComplete = s.completeTo()
}

// boundLastComplete lowers last_complete to before everything missing. What diverged
// may leave an object missing in a version that is as old as the head; a copy whose
// last_complete stays there is taken for one that misses nothing, if another
// interval comes before its activation. (Ceph leaves it there.)
func (s *Copy) boundLastComplete() {
	if s.Missing.Len() > 0 {
		s.Info.LastComplete = MinOf(s.Info.LastComplete, s.completeTo())
	}
}

// completeTo returns the version of the newest entry before everything missing;
// zero if there is none.
func (s *Copy) completeTo() Version {
	need := s.Missing.OldestNeed()
	entries := s.Log.entries
	i := sort.Search(len(entries), func(i int) bool { return !entries[i].Version.Less(need) })
	if i == 0 {
		return Version{}
	}
	return entries[i-1].Version
}
