package osdmap

import (
	"slices"
	"strings"
)

// Bits of an OSD's state (CEPH_OSD_* in src/include/rados.h).
const (
	OSDExists       uint32 = 1 << 0
	OSDUp           uint32 = 1 << 1
	OSDAutoOut      uint32 = 1 << 2 // marked out by the monitors, not by an operator
	OSDNew          uint32 = 1 << 3 // never marked in
	OSDFull         uint32 = 1 << 4
	OSDNearFull     uint32 = 1 << 5
	OSDBackfillFull uint32 = 1 << 6
	OSDDestroyed    uint32 = 1 << 7
	OSDNoUp         uint32 = 1 << 8
	OSDNoDown       uint32 = 1 << 9
	OSDNoIn         uint32 = 1 << 10
	OSDNoOut        uint32 = 1 << 11
	OSDStop         uint32 = 1 << 12
)

var osdStateNames = []struct {
	bit  uint32
	name string
}{
	{OSDExists, "exists"}, {OSDUp, "up"}, {OSDAutoOut, "autoout"}, {OSDNew, "new"},
	{OSDFull, "full"}, {OSDNearFull, "nearfull"}, {OSDBackfillFull, "backfillfull"},
	{OSDDestroyed, "destroyed"}, {OSDNoUp, "noup"}, {OSDNoDown, "nodown"},
	{OSDNoIn, "noin"}, {OSDNoOut, "noout"}, {OSDStop, "stop"},
}

// StateNames returns the names of the bits set in an OSD's state, sorted.
func StateNames(state uint32) []string {
	var out []string
	for _, s := range osdStateNames {
		if state&s.bit != 0 {
			out = append(out, s.name)
		}
	}
	slices.Sort(out)
	return out
}

// Weights and affinities, 16.16 fixed point (src/include/rados.h).
const (
	WeightIn               uint32 = 0x10000
	WeightOut              uint32 = 0
	MaxPrimaryAffinity     uint32 = 0x10000
	DefaultPrimaryAffinity uint32 = 0x10000
)

// Flags of a map (CEPH_OSDMAP_* in src/include/rados.h).
const (
	FlagNearFull        uint32 = 1 << 0 // obsolete since 13
	FlagFull            uint32 = 1 << 1 // obsolete since 13
	FlagPauseRd         uint32 = 1 << 2
	FlagPauseWr         uint32 = 1 << 3
	FlagPauseRec        uint32 = 1 << 4
	FlagNoUp            uint32 = 1 << 5
	FlagNoDown          uint32 = 1 << 6
	FlagNoOut           uint32 = 1 << 7
	FlagNoIn            uint32 = 1 << 8
	FlagNoBackfill      uint32 = 1 << 9
	FlagNoRecover       uint32 = 1 << 10
	FlagNoScrub         uint32 = 1 << 11
	FlagNoDeepScrub     uint32 = 1 << 12
	FlagNoTierAgent     uint32 = 1 << 13
	FlagNoRebalance     uint32 = 1 << 14
	FlagSortBitwise     uint32 = 1 << 15
	FlagRequireJewel    uint32 = 1 << 16
	FlagRequireKraken   uint32 = 1 << 17
	FlagRequireLuminous uint32 = 1 << 18
	FlagRecoveryDeletes uint32 = 1 << 19
	FlagPurgedSnapdirs  uint32 = 1 << 20
	FlagNoSnapTrim      uint32 = 1 << 21
	FlagPGLogHardLimit  uint32 = 1 << 22

	legacyRequireFlags = FlagRequireJewel | FlagRequireKraken | FlagRequireLuminous
	// semiHiddenFlags are not worth an operator's look
	// (CEPH_OSDMAP_SEMIHIDDEN_FLAGS).
	semiHiddenFlags = legacyRequireFlags | FlagRecoveryDeletes | FlagSortBitwise |
		FlagPurgedSnapdirs | FlagPGLogHardLimit
)

// mapFlagNames is in the order in which Ceph lists them (OSDMap::get_flag_string).
var mapFlagNames = []struct {
	bit  uint32
	name string
}{
	{FlagPauseRd, "pauserd"},
	{FlagPauseWr, "pausewr"}, {FlagPauseRec, "pauserec"}, {FlagNoUp, "noup"},
	{FlagNoDown, "nodown"}, {FlagNoOut, "noout"}, {FlagNoIn, "noin"},
	{FlagNoBackfill, "nobackfill"}, {FlagNoRebalance, "norebalance"},
	{FlagNoRecover, "norecover"}, {FlagNoScrub, "noscrub"},
	{FlagNoDeepScrub, "nodeep-scrub"}, {FlagNoTierAgent, "notieragent"},
	{FlagNoSnapTrim, "nosnaptrim"}, {FlagSortBitwise, "sortbitwise"},
	{FlagRequireJewel, "require_jewel_osds"}, {FlagRequireKraken, "require_kraken_osds"},
	{FlagRequireLuminous, "require_luminous_osds"}, {FlagRecoveryDeletes, "recovery_deletes"},
	{FlagPurgedSnapdirs, "purged_snapdirs"}, {FlagPGLogHardLimit, "pglog_hardlimit"},
}

func flagNames(flags uint32) []string {
	var out []string
	for _, f := range mapFlagNames {
		if flags&f.bit != 0 {
			out = append(out, f.name)
		}
	}
	return out
}

// FlagString returns the names of a map's flags as `ceph osd dump` shows them:
// comma-separated, in Ceph's order.
func FlagString(flags uint32) string { return strings.Join(flagNames(flags), ",") }

// Release is the number of a Ceph release (ceph_release_t): 14 is nautilus, 16
// pacific. 0 is unknown.
type Release uint8

// The releases this program tells apart.
const (
	ReleaseUnknown  Release = 0
	ReleaseJewel    Release = 10
	ReleaseLuminous Release = 12
	ReleaseMimic    Release = 13
	ReleaseNautilus Release = 14
	ReleaseOctopus  Release = 15
	ReleasePacific  Release = 16
	// ReleaseUnchanged in an [Incremental] leaves the map's value alone.
	ReleaseUnchanged Release = 0xff
)

var releaseNames = []string{
	"unknown", "argonaut", "bobtail", "cuttlefish", "dumpling", "emperor", "firefly",
	"giant", "hammer", "infernalis", "jewel", "kraken", "luminous", "mimic", "nautilus",
	"octopus", "pacific",
}

// String returns the release's name, "unknown" for one this program does not
// know.
func (r Release) String() string {
	if int(r) < len(releaseNames) {
		return releaseNames[r]
	}
	return "unknown"
}

// ParseRelease is the inverse of [Release.String]; ReleaseUnknown if there is no
// such release.
func ParseRelease(s string) Release { return Release(max(slices.Index(releaseNames, s), 0)) }
