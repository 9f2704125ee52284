package pglog

import (
	"bytes"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/memstore"
	"sepiola/osdmap"
	"sepiola/wire"
)

// pairs reads a golden file: one key and its value in hexadecimal a line.
func pairs(t testing.TB, path string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		b, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		out[key] = b
	}
	return out
}

func goldenFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../testdata/golden/pglog", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s (%v)", dir, err)
	}
	return files
}

// recode decodes value by what its key says it is and encodes it again.
func recode(t testing.TB, key string, value []byte) []byte {
	t.Helper()
	d, e := wire.NewDecoder(value), wire.NewEncoder(len(value))
	switch {
	case key == keyInfoVersion || key == keyMayDelete:
		return value
	case key == keyInfo:
		i := DecodeInfo(d)
		i.Encode(e)
	case key == keyBigInfo:
		past, purged := osdmap.DecodePastIntervals(d), DecodeIntervalSet(d)
		past.Encode(e)
		purged.Encode(e)
	case key == keyEpoch:
		e.U32(d.U32())
	case key == keyFastInfo:
		f := DecodeFastInfo(d)
		f.Encode(e)
	case key == keyCanRollbackTo || key == keyTrimmedTo:
		DecodeVersion(d).Encode(e)
	case strings.HasPrefix(key, missingKeyPrefix):
		o, i := object.DecodeID(d), DecodeMissingItem(d)
		o.Encode(e)
		i.Encode(e)
	case strings.HasPrefix(key, dupKeyPrefix):
		u := DecodeDup(d)
		u.Encode(e)
	default:
		n, err := DecodeStoredEntry(value)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if _, err := n.ModDesc.Decode(); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		n.EncodeStored(e)
		return e.Bytes()
	}
	if err := d.Finish(); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return e.Bytes()
}

// TestGoldenMeta protects the stored form: every value that Ceph 16 keeps in a PG's
// metadata object decodes and encodes to the same bytes.
func TestGoldenMeta(t *testing.T) {
	ops := map[EntryOp]bool{}
	for _, f := range goldenFiles(t, "meta") {
		for key, value := range pairs(t, f) {
			if got := recode(t, key, value); !bytes.Equal(got, value) {
				t.Errorf("%s %s:\n here %x\n Ceph %x", filepath.Base(f), key, got, value)
			}
			if n, err := DecodeStoredEntry(value); err == nil {
				ops[n.Op] = true
			}
		}
	}
	for _, op := range []EntryOp{OpModify, OpClone, OpDelete, OpLostRevert, OpLostDelete, OpPromote, OpError} {
		if !ops[op] {
			t.Errorf("no golden entry of %v", op)
		}
	}
}

// storeWith returns a store that holds a PG's metadata object with these pairs.
func storeWith(t testing.TB, pg object.SPGID, kv map[string][]byte) objectstore.Store {
	t.Helper()
	s := memstore.New()
	if err := s.Mkfs(objectstore.Identity{ClusterFSID: entity.UUID{1}, OSDFSID: entity.UUID{2}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var tx objectstore.Transaction
	tx.MkColl(objectstore.PGColl(pg), 0)
	tx.Touch(objectstore.PGColl(pg), pg.MetaObject())
	tx.OmapSet(objectstore.PGColl(pg), pg.MetaObject(), kv)
	submit(t, s, &tx)
	return s
}

func submit(t testing.TB, s objectstore.Store, tx *objectstore.Transaction) {
	t.Helper()
	if err := s.Submit(tx, func() {}); err != nil {
		t.Fatal(err)
	}
}

// goldenPG returns which PG the pairs are of.
func goldenPG(t testing.TB, kv map[string][]byte) object.SPGID {
	t.Helper()
	d := wire.NewDecoder(kv[keyInfo])
	i := DecodeInfo(d)
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	return i.PGID
}

// TestLoadGolden protects reading a store that Ceph wrote: loading it and writing
// everything anew gives Ceph's keys and values.
func TestLoadGolden(t *testing.T) {
	for _, f := range goldenFiles(t, "meta") {
		t.Run(filepath.Base(f), func(t *testing.T) {
			kv := pairs(t, f)
			pg := goldenPG(t, kv)
			_, rollback := kv[keyCanRollbackTo]
			got, err := Load(storeWith(t, pg, kv), pg, rollback)
			if err != nil {
				t.Fatal(err)
			}
			if fast, ok := kv[keyFastInfo]; ok {
				d := wire.NewDecoder(fast)
				if want := DecodeFastInfo(d); FastInfoOf(&got.Info).LastUpdate != want.LastUpdate {
					t.Errorf("last update %v, the fast info has %v", got.Info.LastUpdate, want.LastUpdate)
				}
				// Written whole, the fast info is part of the info.
				delete(kv, keyFastInfo)
				delete(kv, keyInfo)
			}
			made := MetaKeys(got.Copy, got.Epoch, got.PastIntervals, rollback)
			if _, ok := kv[keyInfo]; !ok {
				delete(made, keyInfo)
			}
			if a, b := slices.Sorted(maps.Keys(made)), slices.Sorted(maps.Keys(kv)); !slices.Equal(a, b) {
				t.Fatalf("keys\n here %q\n Ceph %q", a, b)
			}
			for k, v := range kv {
				if !bytes.Equal(made[k], v) {
					t.Errorf("%s:\n here %x\n Ceph %x", k, made[k], v)
				}
			}
		})
	}
}

// TestGoldenObject protects the attributes of objects: what Ceph 16 keeps in "_"
// and "snapset" decodes and encodes to the same bytes.
func TestGoldenObject(t *testing.T) {
	for _, f := range goldenFiles(t, "object") {
		for name, value := range pairs(t, f) {
			var got []byte
			switch name {
			case AttrObjectInfo:
				o, err := ParseObjectInfo(value)
				if err != nil {
					t.Fatalf("%s: %v", f, err)
				}
				got = o.Bytes()
			case AttrSnapSet:
				s, err := ParseSnapSet(value)
				if err != nil {
					t.Fatalf("%s: %v", f, err)
				}
				got = s.Bytes()
			}
			if !bytes.Equal(got, value) {
				t.Errorf("%s %s:\n here %x\n Ceph %x", filepath.Base(f), name, got, value)
			}
		}
	}
}

// TestGoldenObjectFields protects against fields that change places: figures that
// ceph-objectstore-tool printed of the same objects.
func TestGoldenObjectFields(t *testing.T) {
	o, err := ParseObjectInfo(pairs(t, "../testdata/golden/pglog/object/clone.txt")[AttrObjectInfo])
	if err != nil {
		t.Fatal(err)
	}
	if o.Version != (Version{28, 15}) || o.PriorVersion != (Version{22, 10}) || o.UserVersion != 10 || o.Size != 20000 ||
		o.LastReqID.String() != "client.4213.0:1" || o.Flags != OIDirty|OIDataDigest || o.DataDigest != 0x9492594c ||
		o.OmapDigest != 0xffffffff || o.Object.Snap != 2 || o.Mtime.Nanosecond()/1000 != 431678 {
		t.Errorf("clone: %+v", o)
	}
	w, err := ParseObjectInfo(pairs(t, "../testdata/golden/pglog/object/watched.txt")[AttrObjectInfo])
	if err != nil {
		t.Fatal(err)
	}
	if keys := w.WatchKeys(); len(keys) != 1 || w.Watchers[keys[0]].TimeoutSeconds != 30 ||
		w.Watchers[keys[0]].Addr.String() != "v1:127.0.0.1:0/4268507492" {
		t.Errorf("watched: %+v", w.Watchers)
	}
}

// FuzzStored protects the decoders of stored forms against panics.
func FuzzStored(f *testing.F) {
	keys := []string{keyInfo, keyBigInfo, keyFastInfo, dupKeyPrefix, missingKeyPrefix, "entry", AttrObjectInfo, AttrSnapSet}
	for _, dir := range []string{"meta", "object"} {
		for _, file := range goldenFiles(f, dir) {
			for k, v := range pairs(f, file) {
				for i, name := range keys {
					if strings.HasPrefix(k, name) {
						f.Add(uint8(i), v)
					}
				}
				if k[0] == '0' {
					f.Add(uint8(5), v)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, p []byte) {
		d := wire.NewDecoder(p)
		switch kind % 12 {
		case 0:
			DecodeInfo(d)
		case 1:
			osdmap.DecodePastIntervals(d)
			DecodeIntervalSet(d)
		case 2:
			DecodeFastInfo(d)
		case 3:
			DecodeDup(d)
		case 4:
			object.DecodeID(d)
			DecodeMissingItem(d)
		case 5:
			if n, err := DecodeStoredEntry(p); err == nil {
				n.ModDesc.Decode()
				n.SnapIDs()
			}
		case 6:
			ParseObjectInfo(p)
		case 7:
			ParseSnapSet(p)
		case 8:
			DecodeMissing(d)
		case 9:
			l := DecodeLog(d)
			Index(l)
		case 10:
			DecodeOSDStat(d)
			DecodePoolStat(d)
		case 11:
			DecodeNotify(d)
			DecodeQuery(d)
			DecodeCreate(d)
		}
	})
}
