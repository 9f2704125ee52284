package crush

import "fmt"

// Profile names a set of tunables.
type Profile string

// The profiles of `ceph osd crush tunables` (set_tunables_* in
// src/crush/CrushWrapper.h). In Ceph 16 default and optimal have jewel's values
// and legacy argonaut's; these three also set the straw calculation's version,
// the others leave it alone.
const (
	ProfileLegacy   Profile = "legacy"
	ProfileArgonaut Profile = "argonaut"
	ProfileBobtail  Profile = "bobtail"
	ProfileFirefly  Profile = "firefly"
	ProfileHammer   Profile = "hammer"
	ProfileJewel    Profile = "jewel"
	ProfileOptimal  Profile = "optimal"
	ProfileDefault  Profile = "default"
)

// Masks of allowed bucket algorithms: CRUSH_LEGACY_ALLOWED_BUCKET_ALGS, and the
// one that came with hammer.
const (
	algsLegacy = 1<<AlgUniform | 1<<AlgList | 1<<AlgStraw
	algsHammer = algsLegacy | 1<<AlgStraw2
)

// ProfileTunables returns the values of a profile. An unknown name gives the
// default ones; check it with [ParseProfile].
func ProfileTunables(p Profile) Tunables {
	legacy := Tunables{ChooseLocalTries: 2, ChooseLocalFallbackTries: 5, ChooseTotalTries: 19, AllowedBucketAlgs: algsLegacy}
	modern := Tunables{ChooseTotalTries: 50, ChooseLeafDescendOnce: 1, AllowedBucketAlgs: algsLegacy}
	switch p {
	case ProfileLegacy, ProfileArgonaut:
		return legacy
	case ProfileBobtail:
		return modern
	case ProfileFirefly:
		modern.ChooseLeafVaryR = 1
		return modern
	case ProfileHammer:
		modern.ChooseLeafVaryR = 1
		modern.AllowedBucketAlgs = algsHammer
		return modern
	}
	modern.ChooseLeafVaryR = 1
	modern.ChooseLeafStable = 1
	modern.StrawCalcVersion = 1
	modern.AllowedBucketAlgs = algsHammer
	return modern
}

// SetTunables changes the tunables to those of a profile.
func (m *Map) SetTunables(p Profile) {
	t := ProfileTunables(p)
	switch p {
	case ProfileArgonaut, ProfileBobtail, ProfileFirefly, ProfileHammer, ProfileJewel:
		t.StrawCalcVersion = m.StrawCalcVersion
	}
	m.Tunables = t
}

// ParseProfile checks a profile's name.
func ParseProfile(name string) (Profile, error) {
	switch p := Profile(name); p {
	case ProfileLegacy, ProfileArgonaut, ProfileBobtail, ProfileFirefly, ProfileHammer, ProfileJewel, ProfileOptimal, ProfileDefault:
		return p, nil
	}
	return "", fmt.Errorf("unknown tunables profile %q", name)
}

// namedTunable is a tunable by its name in the text form and in commands.
type namedTunable struct {
	name  string
	value int32
}

// named lists the tunables in the order of the text form. Ceph prints them
// as signed numbers.
func (t Tunables) named() []namedTunable {
	return []namedTunable{
		{"choose_local_tries", int32(t.ChooseLocalTries)},
		{"choose_local_fallback_tries", int32(t.ChooseLocalFallbackTries)},
		{"choose_total_tries", int32(t.ChooseTotalTries)},
		{"chooseleaf_descend_once", int32(t.ChooseLeafDescendOnce)},
		{"chooseleaf_vary_r", int32(t.ChooseLeafVaryR)},
		{"chooseleaf_stable", int32(t.ChooseLeafStable)},
		{"straw_calc_version", int32(t.StrawCalcVersion)},
		{"allowed_bucket_algs", int32(t.AllowedBucketAlgs)},
	}
}

// SetTunable changes one tunable by its name in the text form; it is false if
// there is none of that name. Values that do not fit are cut off as in Ceph.
func (m *Map) SetTunable(name string, value int32) bool {
	t := &m.Tunables
	switch name {
	case "choose_local_tries":
		t.ChooseLocalTries = uint32(value)
	case "choose_local_fallback_tries":
		t.ChooseLocalFallbackTries = uint32(value)
	case "choose_total_tries":
		t.ChooseTotalTries = uint32(value)
	case "chooseleaf_descend_once":
		t.ChooseLeafDescendOnce = uint32(value)
	case "chooseleaf_vary_r":
		t.ChooseLeafVaryR = uint8(value)
	case "chooseleaf_stable":
		t.ChooseLeafStable = uint8(value)
	case "straw_calc_version":
		t.StrawCalcVersion = uint8(value)
	case "allowed_bucket_algs":
		t.AllowedBucketAlgs = uint32(value)
	default:
		return false
	}
	return true
}
