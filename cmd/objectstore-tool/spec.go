package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osd"
	"sepiola/osdmap"
)

// find returns the object that the command line names: by "" the PG's metadata, by
// JSON, or by a name that only one object has.
func (t *tool) find() (located, error) {
	text, _ := t.object()
	if text == "" {
		c, err := t.needColl()
		return located{c, t.pg.MetaObject()}, err
	}
	if spec, ok := asJSON(text); ok {
		return t.findSpec(text, spec)
	}
	return t.findName(text)
}

func (t *tool) findName(name string) (located, error) {
	colls, err := t.pgColls()
	if err != nil {
		return located{}, err
	}
	// What it works on has that in its head.
	command, _ := t.command()
	head := t.head || command == "remove-clone-metadata"
	var found []located
	for _, c := range colls {
		err := t.each(c, search{name, t.namespace, head}, func(l located) error {
			found = append(found, l)
			return nil
		})
		if err != nil {
			return located{}, err
		}
	}
	switch len(found) {
	case 0:
		return located{}, t.fail("No object id '%s' found or invalid JSON specified", name)
	case 1:
		return found[0], nil
	}
	return located{}, t.fail("Found %d objects with id '%s', please use a JSON spec from --op list instead", len(found), name)
}

// asJSON returns the words of a JSON array or object; false for all else.
func asJSON(text string) (json.RawMessage, bool) {
	raw := json.RawMessage(strings.TrimSpace(text))
	if len(raw) == 0 || raw[0] != '[' && raw[0] != '{' || !json.Valid(raw) {
		return nil, false
	}
	return raw, true
}

// findSpec takes ["PGID", {id}], or the id alone where --pgid tells the PG.
func (t *tool) findSpec(text string, raw json.RawMessage) (located, error) {
	at := located{coll: objectstore.PGColl(t.pg)}
	if raw[0] == '[' {
		var parts []json.RawMessage
		var pgid string
		if err := json.Unmarshal(raw, &parts); err != nil || len(parts) != 2 {
			return at, t.fail("Object '%s' must be a JSON array with 2 elements", text)
		}
		if json.Unmarshal(parts[0], &pgid) != nil {
			return at, t.fail("Object '%s' must be a JSON array with the first element a string", text)
		}
		raw = parts[1]
		if err := t.takePG(&at, text, pgid); err != nil {
			return at, err
		}
	} else if t.pgid == "" {
		return at, t.fail("Without --pgid the object '%s' must be a JSON array", text)
	}
	var err error
	if at.gid, err = parseGID(raw); err != nil {
		return at, t.fail("Decode object JSON error: %v", err)
	}
	if err := t.checkPlace(at); err != nil {
		return at, err
	}
	ok, err := t.store.HasCollection(at.coll)
	if err == nil && !ok {
		err = t.fail("PG '%v' not found", at.coll.PG)
	}
	return at, err
}

func (t *tool) takePG(at *located, text, pgid string) error {
	if pgid == "meta" {
		at.coll = objectstore.Meta
		return nil
	}
	pg, err := object.ParseSPGID(pgid)
	if err != nil {
		return t.fail("Invalid pgid '%s' specified", pgid)
	}
	if t.pgid != "" && pg != t.pg {
		return t.fail("object '%s' has a pgid different from the --pgid=%s option", text, t.pgid)
	}
	at.coll = objectstore.PGColl(pg)
	return nil
}

// checkPlace refuses an object in a PG that its pool and hash do not lead to: a
// command that writes would make it there, and nobody would find it.
func (t *tool) checkPlace(l located) error {
	if l.coll == objectstore.Meta {
		return nil
	}
	if l.gid.Pool != l.coll.PG.Pool {
		return t.fail("Object pool and pgid pool don't match")
	}
	m, err := t.newestMap()
	if err != nil {
		return err
	}
	if pool := m.Pools[l.gid.Pool]; pool != nil && l.gid.Name != "" && !l.coll.PG.Contains(l.gid.Hash, pool.PGNum) {
		return t.fail("object %v not contained by pg %v", l.gid, l.coll.PG)
	}
	return nil
}

// newestMap reads the newest map that the OSD has worked on.
func (t *tool) newestMap() (*osdmap.Map, error) {
	b, err := osd.ReadMapBytes(t.store, t.super.CurrentEpoch)
	if err != nil {
		return nil, t.fail("Can't find latest local OSDMap %d: %v", t.super.CurrentEpoch, err)
	}
	m, err := osdmap.DecodeMap(b)
	if err != nil {
		return nil, t.fail("OSDMap %d: %v", t.super.CurrentEpoch, err)
	}
	return m, nil
}

// parseGID reads what object.GID.DumpJSON wrote. Fields that are absent have the
// values of a replicated pool's head in hash 0.
func parseGID(raw json.RawMessage) (object.GID, error) {
	f := struct {
		OID, Key, Namespace string
		SnapID, Hash, Pool  json.Number
		Max                 json.Number
		Generation          json.Number
		ShardID             json.Number `json:"shard_id"`
	}{SnapID: "-2", Hash: "0", Max: "0", Pool: "0", Generation: "-1", ShardID: "-1"}
	d := json.NewDecoder(bytes.NewReader(widened(raw)))
	d.UseNumber()
	if err := d.Decode(&f); err != nil {
		return object.GID{}, err
	}
	var err error
	number := func(name string, n json.Number) int64 {
		v, e := n.Int64()
		if e != nil && err == nil {
			err = fmt.Errorf("%s: %q is no number", name, n)
		}
		return v
	}
	g := object.GID{ID: object.ID{Name: narrowed(f.OID), Key: narrowed(f.Key), Namespace: narrowed(f.Namespace)}}
	g.Snap = object.SnapID(number("snapid", f.SnapID))
	hash := number("hash", f.Hash)
	g.Hash = uint32(hash)
	if int64(g.Hash) != hash && err == nil {
		err = fmt.Errorf("hash: %d has more than 32 bits", hash)
	}
	g.Pool = number("pool", f.Pool)
	g.Gen = uint64(number("generation", f.Generation))
	g.Shard = int8(number("shard_id", f.ShardID))
	if number("max", f.Max) != 0 && err == nil {
		err = errors.New("the id after all others is no object")
	}
	return g, err
}

// Names are bytes, and need not be UTF-8, which encoding/json takes for granted and
// mends. widened makes a character of each byte, and narrowed bytes of those again.
func widened(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for _, b := range raw {
		out = utf8.AppendRune(out, rune(b))
	}
	return out
}

func narrowed(s string) string {
	var out []byte
	for _, r := range s {
		if r < 0x100 {
			out = append(out, byte(r))
		} else {
			out = utf8.AppendRune(out, r) // was an escape
		}
	}
	return string(out)
}
