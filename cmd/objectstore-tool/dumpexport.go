//lint:file-ignore ST1005 the error texts are those of Ceph's tool, capitals included

package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sepiola/jsonfmt"
	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// exportDump prints what is in an export, but for the objects' data.
type exportDump struct {
	*tool
	dump *dumpReader
	w    *jsonfmt.Writer
	// broken is where Ceph's tool breaks the line after the map.
	broken int
}

// dumpExport prints an export; it needs no store.
func (t *tool) dumpExport() error {
	in := io.Reader(t.stdin)
	if t.file != "" && t.file != "-" {
		f, err := os.Open(t.file)
		if err != nil {
			return t.fail("file: %s: %s", t.file, plainText(err))
		}
		defer f.Close()
		in = f
	} else if isTerminal(t.stdin) {
		return t.fail("stdin is a tty and no --file filename specified")
	}
	x := exportDump{tool: t, w: jsonfmt.New(t.format == "json-pretty")}
	err := x.run(bufio.NewReaderSize(in, 1<<20))
	if errors.Is(err, errCorrupt) {
		_, what, _ := strings.Cut(err.Error(), ": ")
		t.complain("%s", what)
		return t.fail("dump-export: (14) Bad address")
	}
	if err != nil {
		return err
	}
	b := x.w.Bytes()
	t.out.Write(b[:x.broken])
	t.out.WriteByte('\n')
	t.out.Write(b[x.broken:])
	return nil
}

func (x *exportDump) run(r io.Reader) (err error) {
	if x.dump, err = newDumpReader(r); err != nil {
		return err
	}
	kind, body, err := x.dump.next()
	switch {
	case err != nil:
		return err
	case kind == secPoolBegin:
		return x.fail("Dump of pool exports not supported")
	case kind != secPGBegin:
		return corrupt("Invalid first section type %d", kind)
	}
	b, err := decode("PG begin", body, decodePGBegin)
	if err != nil {
		return err
	}
	x.w.OpenObject("")
	x.w.String("pgid", b.pg.String())
	x.w.String("cluster_fsid", b.super.ClusterFSID.String())
	x.w.String("features", featureText(b.super.Compat))
	if err := x.sections(); err != nil {
		return err
	}
	x.w.Close()
	return nil
}

// featureText prints features as CompatSet's operator<< does.
func featureText(c message.CompatSet) string {
	var b strings.Builder
	for i, set := range []message.FeatureSet{c.Compat, c.ROCompat, c.Incompat} {
		fmt.Fprintf(&b, "%s={", [...]string{"compat", ",rocompat", ",incompat"}[i])
		for k, n := range sortedKeys(set) {
			if k > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%d=%s", n, set[n])
		}
		b.WriteByte('}')
	}
	return b.String()
}

func (x *exportDump) sections() error {
	objects := false
	for {
		kind, body, err := x.dump.next()
		if err != nil {
			return err
		}
		x.debugf("dump_export: Section type %d", kind)
		switch {
		case kind == secPGMetadata && x.broken == 0:
			err = x.metadata(body)
		case x.broken == 0:
			err = corrupt("Missing metadata section")
		case kind == secObjectBegin:
			if !objects {
				x.w.OpenArray("objects")
				objects = true
			}
			err = x.object(body)
		case kind == secPGEnd:
			if objects {
				x.w.Close()
			}
			return nil
		default:
			err = corrupt("Unknown section type %d", kind)
		}
		if err != nil {
			return err
		}
	}
}

func (x *exportDump) metadata(body []byte) error {
	p, err := decode("PG metadata", body, decodePGMetadata)
	if err != nil {
		return err
	}
	m, err := osdmap.DecodeMap(p.osdMap)
	if err != nil {
		return corrupt("OSDMap: %v", err)
	}
	if m.Epoch != p.epoch {
		return corrupt("FATAL: Invalid OSDMap epoch in export data")
	}
	w := x.w
	w.OpenObject("metadata_section")
	w.Uint("pg_disk_version", uint64(p.structVersion))
	w.Uint("map_epoch", uint64(p.epoch))
	w.OpenObject("OSDMap")
	m.DumpJSON(w)
	w.Close()
	x.broken = len(w.Bytes())
	for _, part := range []struct {
		name string
		dump func(*jsonfmt.Writer)
	}{{"info", p.info.DumpJSON}, {"log", p.log.DumpJSON}, {"pg_missing_t", p.missing.DumpJSON}} {
		w.OpenObject(part.name)
		part.dump(w)
		w.Close()
	}
	w.Close()
	return nil
}

func (x *exportDump) object(body []byte) error {
	b, err := decode("object", body, decodeObjectBegin)
	if err != nil {
		return err
	}
	w := x.w
	w.OpenObject("")
	w.OpenObject("oid")
	b.gid.DumpJSON(w)
	w.Close()
	w.OpenObject("object_info")
	b.info.DumpJSON(w)
	w.Close()
	for {
		kind, body, err := x.dump.next()
		if err == nil && kind == secObjectEnd {
			w.Close()
			return nil
		}
		if err == nil {
			err = x.part(b.gid, kind, body)
		}
		if err != nil {
			return err
		}
	}
}

func (x *exportDump) part(g object.GID, kind sectionType, body []byte) error {
	w := x.w
	switch kind {
	case secData:
		p, err := decode("data", body, decodeDataPart)
		if err != nil {
			return err
		}
		w.OpenObject("data_block")
		w.Uint("offset", p.off)
		w.Uint("len", uint64(len(p.data)))
		w.Close()
	case secAttrs:
		attrs, err := decode("attributes", body, decodePairs)
		if err != nil {
			return err
		}
		return x.attrs(g, attrs)
	case secOmapHeader:
		head, err := decode("omap header", body, decodeBlob)
		if err != nil {
			return err
		}
		w.OpenObject("omap_header")
		w.String("value", string(head))
		w.Close()
	case secOmap:
		pairs, err := decode("omap", body, decodePairs)
		if err != nil {
			return err
		}
		w.OpenObject("omaps")
		w.Uint("count", uint64(len(pairs)))
		w.OpenArray("data")
		for _, k := range sortedKeys(pairs) {
			dumpPair(w, k, pairs[k])
		}
		w.Close()
		w.Close()
	default:
		return corrupt("Unknown section type %d", kind)
	}
	return nil
}

func (x *exportDump) attrs(g object.GID, attrs map[string][]byte) error {
	w := x.w
	if g.Gen == object.NoGen && g.IsHead() {
		w.OpenObject("snapset")
		if b, ok := attrs[pglog.AttrSnapSet]; ok {
			ss, err := pglog.ParseSnapSet(b)
			if err != nil {
				return corrupt("snapset of %v: %v", g, err)
			}
			ss.DumpJSON(w)
		} else {
			w.String("error", "missing SS_ATTR")
		}
		w.Close()
	}
	user, system := []string(nil), []string(nil)
	for _, k := range sortedKeys(attrs) {
		if len(k) > 1 && k[0] == '_' {
			user = append(user, k)
		} else {
			system = append(system, k)
		}
	}
	w.OpenObject("attrs")
	w.OpenArray("user")
	for _, k := range user {
		dumpPair(w, k[1:], attrs[k])
	}
	w.Close()
	w.OpenArray("system")
	for _, k := range system {
		w.OpenObject("")
		w.String("name", k)
		w.Close()
	}
	w.Close()
	w.Close()
	return nil
}

// dumpPair writes a value with control characters in base64 (cleanbin).
func dumpPair(w *jsonfmt.Writer, name string, value []byte) {
	coded := slices.ContainsFunc(value, func(c byte) bool { return c < ' ' || c == 0x7f })
	w.OpenObject("")
	w.String("name", name)
	if coded {
		w.String("value", "Base64:"+base64.StdEncoding.EncodeToString(value))
	} else {
		w.String("value", string(value))
	}
	w.Bool("Base64", coded)
	w.Close()
}
