package message

import (
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

// PGMessage is a message between OSDs that is meant for one PG. The OSD waits for
// the map of MapEpoch before it hands the message on; the PG drops it if its
// current interval began after MinEpoch.
type PGMessage interface {
	Body
	// PG returns the addressee, the receiver's shard of it.
	PG() object.SPGID
	// MapEpoch returns the epoch of the sender's map.
	MapEpoch() uint32
	// MinEpoch returns the epoch of the question this answers, or the sender's
	// interval's start: what came before makes the message void.
	MinEpoch() uint32
}

// PGHeader addresses a [PGMessage]. Messages that carry one epoch only set Since
// to Epoch when they are decoded, and encode Epoch.
type PGHeader struct {
	PGID  object.SPGID
	Epoch uint32 // of the sender's map
	Since uint32 // see [PGMessage.MinEpoch]
}

// PG implements [PGMessage].
func (h *PGHeader) PG() object.SPGID { return h.PGID }

// MapEpoch implements [PGMessage].
func (h *PGHeader) MapEpoch() uint32 { return h.Epoch }

// MinEpoch implements [PGMessage].
func (h *PGHeader) MinEpoch() uint32 { return h.Since }

// single reads the epoch of a message that carries just one.
func (h *PGHeader) single(epoch uint32) { h.Epoch, h.Since = epoch, epoch }

// ObjectVersion names an object in one version.
type ObjectVersion struct {
	Object  object.ID
	Version pglog.Version
}

// objectIDMin is the least length of an encoded object id in bytes.
const objectIDMin = 27

func putObjectVersion(e *wire.Encoder, v ObjectVersion) {
	v.Object.Encode(e)
	v.Version.Encode(e)
}

func getObjectVersion(d *wire.Decoder) ObjectVersion {
	return ObjectVersion{object.DecodeID(d), pglog.DecodeVersion(d)}
}

func putSPGID(e *wire.Encoder, p object.SPGID) { p.Encode(e) }

// putOptional writes a std::optional.
func putOptional[T any](e *wire.Encoder, v *T, put func(*T, *wire.Encoder)) {
	e.Bool(v != nil)
	if v != nil {
		put(v, e)
	}
}

// getOptional reads a std::optional.
func getOptional[T any](d *wire.Decoder, get func(*wire.Decoder) T) *T {
	if !d.Bool() {
		return nil
	}
	v := get(d)
	return &v
}
