package osd

import (
	"errors"
	"fmt"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

// ReadSuperblock reads an OSD's superblock, for the daemon at its start and for
// tools that look into the store of a stopped OSD. The error says what an operator
// can do.
func ReadSuperblock(r objectstore.Reader) (message.OSDSuperblock, error) {
	b, err := r.Read(objectstore.Meta, metaObject(superObject), 0, 0)
	if errors.Is(err, objectstore.ErrNotFound) {
		return message.OSDSuperblock{}, fmt.Errorf("reading the superblock: %w; make the OSD with --mkfs", err)
	}
	if err != nil {
		return message.OSDSuperblock{}, fmt.Errorf("reading the superblock: %w; %s", err, damagedAdvice)
	}
	d := wire.NewDecoder(b.Flat())
	super := message.DecodeOSDSuperblock(d)
	if err := d.Err(); err != nil {
		return message.OSDSuperblock{}, fmt.Errorf("superblock: %w; %s", err, damagedAdvice)
	}
	for n, name := range super.Compat.Incompat {
		if _, ok := incompat[n]; !ok {
			return message.OSDSuperblock{}, fmt.Errorf("the data needs feature %q, which this version does not have; run the version that wrote it", name)
		}
	}
	return super, nil
}

// ReadMapBytes returns the OSD map of an epoch as the store holds it, encoded; the
// error wraps [objectstore.ErrNotFound] for one that is not kept.
func ReadMapBytes(r objectstore.Reader, epoch uint32) ([]byte, error) {
	b, err := r.Read(objectstore.Meta, fullObject(epoch), 0, 0)
	if err != nil {
		return nil, fmt.Errorf("OSD map %d: %w", epoch, err)
	}
	return b.Flat(), nil
}

// ReadIncrementalBytes returns the change of maps that leads to an epoch, as it is stored.
func ReadIncrementalBytes(r objectstore.Reader, epoch uint32) ([]byte, error) {
	b, err := r.Read(objectstore.Meta, incObject(epoch), 0, 0)
	if err != nil {
		return nil, fmt.Errorf("incremental OSD map %d: %w", epoch, err)
	}
	return b.Flat(), nil
}

// The objects of the OSD's own collection, for tools that replace them.
func SuperblockObject() object.GID              { return metaObject(superObject) }
func MapObject(epoch uint32) object.GID         { return fullObject(epoch) }
func IncrementalObject(epoch uint32) object.GID { return incObject(epoch) }
