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
