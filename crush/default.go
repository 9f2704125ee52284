package crush

// defaultTypes are the bucket types of a new cluster (OSDMap::_build_crush_types,
// src/osd/OSDMap.cc).
var defaultTypes = []string{
	"osd", "host", "chassis", "rack", "row", "pdu", "pod", "room", "datacenter", "zone", "region", "root",
}

// NewDefault returns the map of a fresh Ceph 16 cluster: an empty root
// "default" and the rule "replicated_rule" over hosts
// (OSDMap::build_simple_crush_map).
func NewDefault() *Map {
	m, err := NewDefaultOver("host")
	if err != nil {
		panic(err) // the names are those of the types above
	}
	return m
}

// NewDefaultOver is NewDefault with another failure domain, which the option
// osd_crush_chooseleaf_type selects by number; "osd" for one machine.
func NewDefaultOver(failureDomain string) (*Map, error) {
	m := New()
	for i, name := range defaultTypes {
		m.TypeNames[int32(i)] = name
	}
	if _, err := m.AddBucket(0, 0, uint16(len(defaultTypes)-1), "default", nil, nil); err != nil {
		return nil, err
	}
	if _, err := m.AddSimpleRule("replicated_rule", "default", failureDomain, "", "firstn", RuleReplicated); err != nil {
		return nil, err
	}
	m.finalize()
	return m, nil
}
