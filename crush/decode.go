package crush

import (
	"fmt"
	"slices"

	"sepiola/wire"
)

// Sizes in bytes of the smallest encodings, to refuse counts that cannot be.
const (
	minBucketSlot = 4 // a hole
	minRuleSlot   = 4 // a hole
	stepSize      = 12
	nameEntrySize = 8
)

// weightSetRepairMax bounds how many weights the repair of weight sets of the
// wrong size may add to a map.
const weightSetRepairMax = 1 << 20

// DecodeMap reads the binary form. What a later release appended to it is
// passed over, as Ceph does.
func DecodeMap(p []byte) (*Map, error) {
	d := wire.NewDecoder(p)
	m := Decode(d)
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("CRUSH map: %w", err)
	}
	return m, nil
}

// Decode reads the binary form from all that is left in d (the parts at the
// end are optional, so a map is always the last thing in its blob). Check
// d.Err. As in Ceph the number of devices is recalculated.
func Decode(d *wire.Decoder) *Map {
	m := New()
	m.Tunables = ProfileTunables(ProfileLegacy) // unless there are others
	if magic := d.U32(); magic != Magic {
		d.Fail("magic number %#x is not that of a CRUSH map", magic)
		return m
	}
	buckets, rules := d.U32(), d.U32()
	m.MaxDevices = d.I32()
	if buckets > MaxBuckets || uint64(buckets)*minBucketSlot > uint64(d.Left()) {
		d.Fail("%d buckets announced", buckets)
		return m
	}
	m.Buckets = make([]*Bucket, buckets)
	for i := range m.Buckets {
		m.Buckets[i] = decodeBucket(d, int32(-1-i))
	}
	if rules > MaxRules || uint64(rules)*minRuleSlot > uint64(d.Left()) {
		d.Fail("%d rules announced", rules)
		return m
	}
	m.Rules = make([]*Rule, rules)
	for i := range m.Rules {
		m.Rules[i] = decodeRule(d)
	}
	m.TypeNames = decodeNames(d)
	m.ItemNames = decodeNames(d)
	m.RuleNames = decodeNames(d)
	m.Tunables.decode(d)
	if d.Left() > 0 {
		m.ItemClasses = wire.ReadMap(d, 8, wire.GetI32, wire.GetI32)
		m.ClassNames = wire.ReadMap(d, nameEntrySize, wire.GetI32, wire.GetString)
		m.ClassBuckets = wire.ReadMap(d, 8, wire.GetI32, func(d *wire.Decoder) map[int32]int32 {
			return wire.ReadMap(d, 8, wire.GetI32, wire.GetI32)
		})
	}
	if d.Left() > 0 {
		m.ChooseArgs = wire.ReadMap(d, 12, wire.GetI64, m.decodeChooseArgs)
		m.repairChooseArgs(d)
	}
	if d.Err() == nil {
		m.checkDevices(d)
		m.finalize()
	}
	return m
}

func decodeBucket(d *wire.Decoder, id int32) *Bucket {
	alg := d.U32()
	if alg == 0 || d.Err() != nil {
		return nil
	}
	b := &Bucket{ID: d.I32(), Type: d.U16(), Alg: Alg(d.U8()), Hash: d.U8(), Weight: d.U32()}
	switch {
	case d.Err() != nil:
		return nil
	case alg != uint32(b.Alg) || !b.Alg.valid():
		d.Fail("bucket %d: unsupported bucket algorithm: %d", id, alg)
		return nil
	case b.ID != id:
		d.Fail("bucket %d stands in the place of %d", b.ID, id)
		return nil
	}
	b.Items = wire.ReadSlice(d, 4, wire.GetI32)
	n := len(b.Items)
	switch b.Alg {
	case AlgUniform:
		b.ItemWeight = d.U32()
	case AlgList:
		b.Weights, b.SumWeights = getPairs(d, n)
	case AlgTree:
		b.NodeWeights = getWeights(d, int(d.U8()))
	case AlgStraw:
		b.Weights, b.Straws = getPairs(d, n)
	case AlgStraw2:
		b.Weights = getWeights(d, n)
	}
	return b
}

// fitsIn refuses n elements of size bytes where they cannot be.
func fitsIn(d *wire.Decoder, n, size int) bool {
	if d.Err() == nil && int64(n)*int64(size) > int64(d.Left()) {
		d.Fail("%d weights announced, %d bytes left", n, d.Left())
	}
	return d.Err() == nil
}

func getWeights(d *wire.Decoder, n int) []uint32 {
	if n == 0 || !fitsIn(d, n, 4) {
		return nil
	}
	w := make([]uint32, n)
	for i := range w {
		w[i] = d.U32()
	}
	return w
}

func getPairs(d *wire.Decoder, n int) (first, second []uint32) {
	if n == 0 || !fitsIn(d, n, 8) {
		return nil, nil
	}
	first, second = make([]uint32, n), make([]uint32, n)
	for i := range first {
		first[i], second[i] = d.U32(), d.U32()
	}
	return first, second
}

func decodeRule(d *wire.Decoder) *Rule {
	if d.U32() == 0 || d.Err() != nil {
		return nil
	}
	n := d.U32()
	r := &Rule{Ruleset: d.U8(), Type: RuleType(d.U8()), MinSize: d.U8(), MaxSize: d.U8()}
	if uint64(n)*stepSize > uint64(d.Left()) {
		d.Fail("rule of %d steps announced, %d bytes left", n, d.Left())
		return nil
	}
	r.Steps = make([]Step, n)
	for i := range r.Steps {
		r.Steps[i] = Step{Op: Op(d.U32()), Arg1: d.I32(), Arg2: d.I32()}
	}
	return r
}

// decodeNames reads a map of names. Old maps have keys of 64 bits, recognized
// by the zero where a name's length would be: no name is empty
// (decode_32_or_64_string_map).
func decodeNames(d *wire.Decoder) map[int32]string {
	n := d.Count(nameEntrySize)
	names := make(map[int32]string, min(n, 1<<12))
	for range n {
		key, length := d.I32(), d.U32()
		if length == 0 {
			length = d.U32()
		}
		if length == 0 || uint64(length) > uint64(d.Left()) {
			d.Fail("name of %d bytes, %d left", length, d.Left())
		}
		name := string(d.Raw(int(length)))
		if d.Err() != nil {
			break
		}
		names[key] = name
	}
	return names
}

// decode reads the tunables; each group came with another release.
func (t *Tunables) decode(d *wire.Decoder) {
	if d.Left() > 0 {
		t.ChooseLocalTries = d.U32()
		t.ChooseLocalFallbackTries = d.U32()
		t.ChooseTotalTries = d.U32()
	}
	if d.Left() > 0 {
		t.ChooseLeafDescendOnce = d.U32()
	}
	if d.Left() > 0 {
		t.ChooseLeafVaryR = d.U8()
	}
	if d.Left() > 0 {
		t.StrawCalcVersion = d.U8()
	}
	if d.Left() > 0 {
		t.AllowedBucketAlgs = d.U32()
	}
	if d.Left() > 0 {
		t.ChooseLeafStable = d.U8()
	}
}

func (m *Map) decodeChooseArgs(d *wire.Decoder) ChooseArgs {
	n := d.Count(12)
	args := make(ChooseArgs, min(n, 1<<12))
	for range n {
		i := d.U32()
		a := &ChooseArg{
			WeightSet: wire.ReadSlice(d, 4, func(d *wire.Decoder) []uint32 { return wire.ReadSlice(d, 4, wire.GetU32) }),
			IDs:       wire.ReadSlice(d, 4, wire.GetI32),
		}
		if d.Err() != nil {
			break
		}
		if i >= uint32(len(m.Buckets)) {
			d.Fail("weight set of bucket %d, there are %d buckets", -1-int64(i), len(m.Buckets))
			break
		}
		id := int32(-1 - int64(i))
		if b := m.Bucket(id); len(a.IDs) > 0 && (b == nil || len(a.IDs) != len(b.Items)) {
			d.Fail("replacement ids of bucket %d do not match its items", id)
			break
		}
		args[id] = a
	}
	return args
}

// repairChooseArgs drops weight sets of buckets that cannot have any and gives
// those of the wrong length their bucket's, which faulty old releases made
// necessary (CrushWrapper::update_choose_args).
func (m *Map) repairChooseArgs(d *wire.Decoder) {
	added := 0
	for _, args := range m.ChooseArgs {
		positions := args.positions(len(m.Buckets))
		for id, a := range args {
			b := m.Bucket(id)
			if b == nil || b.Alg != AlgStraw2 || a.empty() {
				delete(args, id)
				continue
			}
			if len(a.WeightSet) != positions {
				continue
			}
			for i, w := range a.WeightSet {
				added += max(0, len(b.Items)-len(w))
				if added > weightSetRepairMax {
					d.Fail("weight sets of bucket %d do not match its items", id)
					return
				}
				a.WeightSet[i] = resize(w, len(b.Items))
			}
		}
	}
}

func resize(w []uint32, n int) []uint32 {
	if len(w) >= n {
		return w[:n]
	}
	return append(slices.Clip(w), make([]uint32, n-len(w))...)
}

// indices lists the places of the bucket array that have a replacement,
// ascending.
func (args ChooseArgs) indices(n int) []int32 {
	var out []int32
	for id, a := range args {
		if i := -1 - id; i >= 0 && int(i) < n && !a.empty() {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return out
}

// positions is how many weight sets the buckets have: as many as the first
// that has any, 1 if none has (get_choose_args_positions).
func (args ChooseArgs) positions(n int) int {
	for _, i := range args.indices(n) {
		if p := len(args[-1-i].WeightSet); p > 0 {
			return p
		}
	}
	return 1
}

// checkDevices refuses ids of devices no cluster has; loops over all devices
// rely on it.
func (m *Map) checkDevices(d *wire.Decoder) {
	for _, b := range m.Buckets {
		if b == nil {
			continue
		}
		if len(b.Items) > 0 && slices.Max(b.Items) >= MaxDevicesLimit {
			d.Fail("bucket %d holds device %d", b.ID, slices.Max(b.Items))
			return
		}
	}
	for id, name := range m.ItemNames {
		if id >= MaxDevicesLimit {
			d.Fail("device %d is named %q", id, name)
			return
		}
	}
}

// finalize recalculates what follows from the rest (CrushWrapper::finalize).
func (m *Map) finalize() {
	m.MaxDevices = 0
	for _, b := range m.Buckets {
		if b != nil && len(b.Items) > 0 {
			m.MaxDevices = max(m.MaxDevices, slices.Max(b.Items)+1)
		}
	}
	for id := range m.ItemNames {
		m.MaxDevices = max(m.MaxDevices, id+1)
	}
}
