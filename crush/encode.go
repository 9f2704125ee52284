package crush

import "sepiola/wire"

// Encode appends the binary form (CrushWrapper::encode with all features of
// Ceph 16; the form has no envelope and runs to the end of its blob).
func (m *Map) Encode(e *wire.Encoder) {
	e.U32(Magic)
	e.U32(uint32(len(m.Buckets)))
	e.U32(uint32(len(m.Rules)))
	e.I32(m.MaxDevices)
	for _, b := range m.Buckets {
		if b == nil {
			e.U32(0)
			continue
		}
		e.U32(uint32(b.Alg))
		b.encode(e)
	}
	for _, r := range m.Rules {
		if r == nil {
			e.U32(0)
			continue
		}
		e.U32(1)
		r.encode(e)
	}
	wire.Map(e, m.TypeNames, wire.PutI32, wire.PutString)
	wire.Map(e, m.ItemNames, wire.PutI32, wire.PutString)
	wire.Map(e, m.RuleNames, wire.PutI32, wire.PutString)
	m.Tunables.encode(e)
	wire.Map(e, m.ItemClasses, wire.PutI32, wire.PutI32)
	wire.Map(e, m.ClassNames, wire.PutI32, wire.PutString)
	wire.Map(e, m.ClassBuckets, wire.PutI32, func(e *wire.Encoder, classes map[int32]int32) {
		wire.Map(e, classes, wire.PutI32, wire.PutI32)
	})
	wire.Map(e, m.ChooseArgs, wire.PutI64, func(e *wire.Encoder, args ChooseArgs) {
		args.encode(e, len(m.Buckets))
	})
}

// EncodeMap returns the binary form.
func (m *Map) EncodeMap() []byte {
	e := wire.NewEncoder(1024)
	m.Encode(e)
	return e.Bytes()
}

func (b *Bucket) encode(e *wire.Encoder) {
	e.I32(b.ID)
	e.U16(b.Type)
	e.U8(uint8(b.Alg))
	e.U8(b.Hash)
	e.U32(b.Weight)
	wire.Slice(e, b.Items, wire.PutI32)
	switch b.Alg {
	case AlgUniform:
		e.U32(b.ItemWeight)
	case AlgList:
		putPairs(e, b.Weights, b.SumWeights)
	case AlgTree:
		e.U8(uint8(len(b.NodeWeights)))
		for _, w := range b.NodeWeights {
			e.U32(w)
		}
	case AlgStraw:
		putPairs(e, b.Weights, b.Straws)
	case AlgStraw2:
		for _, w := range b.Weights {
			e.U32(w)
		}
	}
}

// putPairs interleaves two arrays of equal length.
func putPairs(e *wire.Encoder, first, second []uint32) {
	for i := range first {
		e.U32(first[i])
		e.U32(second[i])
	}
}

func (r *Rule) encode(e *wire.Encoder) {
	e.U32(uint32(len(r.Steps)))
	e.U8(r.Ruleset)
	e.U8(uint8(r.Type))
	e.U8(r.MinSize)
	e.U8(r.MaxSize)
	for _, s := range r.Steps {
		e.U32(uint32(s.Op))
		e.I32(s.Arg1)
		e.I32(s.Arg2)
	}
}

func (t *Tunables) encode(e *wire.Encoder) {
	e.U32(t.ChooseLocalTries)
	e.U32(t.ChooseLocalFallbackTries)
	e.U32(t.ChooseTotalTries)
	e.U32(t.ChooseLeafDescendOnce)
	e.U8(t.ChooseLeafVaryR)
	e.U8(t.StrawCalcVersion)
	e.U32(t.AllowedBucketAlgs)
	e.U8(t.ChooseLeafStable)
}

// encode writes the replacements in the order of the bucket array, of which
// there are n places.
func (args ChooseArgs) encode(e *wire.Encoder, n int) {
	index := args.indices(n)
	e.U32(uint32(len(index)))
	for _, i := range index {
		a := args[-1-i]
		e.I32(i)
		wire.Slice(e, a.WeightSet, func(e *wire.Encoder, w []uint32) { wire.Slice(e, w, wire.PutU32) })
		wire.Slice(e, a.IDs, wire.PutI32)
	}
}
