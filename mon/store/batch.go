package store

import (
	"time"

	"sepiola/wire"
)

// Batch is the content of one log entry: the commands that were waiting when it
// was made, and the time it was made, which is the machine's only clock.
type Batch struct {
	Time     time.Time
	Commands [][]byte

	// Origin is the id of the node that proposed it.
	Origin uint64

	seq uint64 // its number there, by which the waiting callers are found
}

// Bounds of one entry.
const (
	maxBatchCommands = 256
	maxBatchBytes    = 4 << 20
)

func (b Batch) encode() []byte {
	e := wire.NewEncoder(64)
	m := e.Begin(1, 1)
	e.U64(b.Origin)
	e.U64(b.seq)
	e.I64(b.Time.UnixNano())
	wire.Slice(e, b.Commands, wire.PutBlob)
	e.End(m)
	return e.Bytes()
}

func decodeBatch(p []byte) (Batch, error) {
	d := wire.NewDecoder(p)
	s := d.Begin(1)
	b := Batch{Origin: d.U64(), seq: d.U64(), Time: time.Unix(0, d.I64()).UTC()}
	b.Commands = wire.ReadSlice(d, 4, wire.GetBlob)
	d.End(s)
	return b, d.Finish()
}

// encodeState writes all keys of the state: the data of a raft snapshot.
func encodeState(r Reader) ([]byte, error) {
	e := wire.NewEncoder(1 << 16)
	m := e.Begin(1, 1)
	err := r.Scan("", func(key string, value []byte) error {
		e.Bool(true)
		e.String(key)
		e.Blob(value)
		return nil
	})
	e.Bool(false)
	e.End(m)
	return e.Bytes(), err
}

func decodeState(p []byte) ([]Change, error) {
	d := wire.NewDecoder(p)
	s := d.Begin(1)
	var out []Change
	for d.Bool() {
		out = append(out, Change{Key: d.String(), Value: append([]byte{}, d.Blob()...)})
	}
	d.End(s)
	return out, d.Finish()
}
