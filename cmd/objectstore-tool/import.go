package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// importer reads one PG.
type importer struct {
	*tool
	dump     *dumpReader
	pg       object.SPGID
	coll     objectstore.Coll
	meta     pgMetadata
	pgNum    uint32 // of the pool, in the export's map
	skipped  bool   // there were objects of other PGs
	progress *progress
}

func (t *tool) importPG() error {
	in := io.Reader(t.stdin)
	if t.file == "" || t.file == "-" {
		if isTerminal(t.stdin) {
			return t.fail("stdin is a tty and no --file filename specified")
		}
	} else {
		f, err := os.Open(t.file)
		if err != nil {
			return t.fail("file: %s: %s", t.file, plainText(err))
		}
		defer f.Close()
		in = f
	}
	if err := t.finishRemovals(t.out); err != nil {
		return err
	}
	m := importer{tool: t}
	err := m.run(bufio.NewReaderSize(in, 1<<20))
	m.progress.done()
	var status statusError
	switch {
	case err == nil:
		fmt.Fprintln(t.out, "Import successful")
		return nil
	case errors.Is(err, errFailed) || errors.As(err, &status):
		return err
	case errors.Is(err, errCorrupt):
		_, what, _ := strings.Cut(err.Error(), ": ")
		t.complain("%s", what)
		return t.fail("Corrupt input for import")
	}
	return t.fail("import: %s", describe(err))
}

func (m *importer) run(r io.Reader) error {
	m.progress = &progress{t: m.tool}
	var err error
	if m.dump, err = newDumpReader(r); err != nil {
		return err
	}
	if err := m.begin(); err != nil {
		return err
	}
	for {
		kind, body, err := m.dump.next()
		if err != nil {
			return err
		}
		m.debugf("do_import: Section type %d", kind)
		switch {
		case kind == secPGMetadata && m.pgNum == 0:
			err = m.metadata(body)
		case kind == secPGMetadata:
			err = corrupt("a second metadata section")
		case m.pgNum == 0:
			err = corrupt("Missing metadata section")
		case kind == secObjectBegin:
			err = m.object(body)
		case kind == secPGEnd:
			return m.finish()
		default:
			err = corrupt("Unknown section type %d", kind)
		}
		if err != nil {
			return err
		}
	}
}

// begin reads the first section and checks that the PG may be here and is not.
func (m *importer) begin() error {
	kind, body, err := m.dump.next()
	switch {
	case err != nil:
		return err
	case kind == secPoolBegin:
		return m.fail("Pool exports cannot be imported into a PG")
	case kind != secPGBegin:
		return corrupt("Invalid first section type %d", kind)
	}
	b, err := decode("PG begin", body, decodePGBegin)
	if err != nil {
		return err
	}
	m.pg, m.coll = b.pg, objectstore.PGColl(b.pg)
	if m.pgid != "" && m.pg != m.tool.pg {
		return m.fail("specified pgid %v does not match actual pgid %v", m.tool.pg, m.pg)
	}
	if m.pg.Shard != object.NoShard {
		return m.fail("pgid %v is of an erasure-coded pool, and this version has none", m.pg)
	}
	if !sameCluster(b.super.ClusterFSID, m.super.ClusterFSID) {
		return m.fail("Export came from different cluster with fsid %v", b.super.ClusterFSID)
	}
	if lack := missingFeatures(m.super.Compat, b.super.Compat, true); len(lack) > 0 {
		slices.Sort(lack)
		m.complain("Export has incompatible features set %s", strings.Join(lack, ","))
		if !m.force {
			return statusFeatures
		}
	}
	return m.checkFree()
}

// checkFree finds that the pool exists and the PG does not.
func (m *importer) checkFree() error {
	cur, err := m.newestMap()
	if err != nil {
		return err
	}
	if cur.Pools[m.pg.Pool] == nil {
		m.complain("Pool %d no longer exists", m.pg.Pool)
		return statusNoPool
	}
	exists, err := m.store.HasCollection(m.coll)
	if err != nil {
		return err
	}
	if exists {
		return m.fail("pgid %v already exists", m.pg)
	}
	fmt.Fprintf(m.out, "Importing pgid %v\n", m.pg)
	return nil
}

// metadata takes the PG's info and log, and makes the collection with the mark that it
// is not whole yet.
func (m *importer) metadata(body []byte) error {
	var err error
	if m.meta, err = decode("PG metadata", body, decodePGMetadata); err != nil {
		return err
	}
	if m.meta.info.PGID != m.pg {
		return m.fail("specified pgid %v does not match import file pgid %v", m.pg, m.meta.info.PGID)
	}
	was, err := osdmap.DecodeMap(m.meta.osdMap)
	if err != nil {
		return corrupt("OSDMap: %v", err)
	}
	if err := m.checkEpoch(was, &m.super); err != nil {
		return err
	}
	if err := m.checkPGNum(was); err != nil {
		return err
	}
	m.progress = m.newProgress("importing", m.meta.info.Stats.Stats.Sum.NumObjects)
	tx := &objectstore.Transaction{}
	tx.MkColl(m.coll, uint32(m.pg.SplitBits(m.pgNum)))
	tx.Touch(m.coll, m.pg.MetaObject())
	pglog.MarkForRemoval(tx, m.pg)
	return m.submit(tx)
}

// checkEpoch finds that the OSD has the maps that the PG goes on from.
func (m *importer) checkEpoch(was *osdmap.Map, super *message.OSDSuperblock) error {
	switch epoch := m.meta.epoch; {
	case was.Epoch != epoch:
		return corrupt("FATAL: Invalid OSDMap epoch in export data")
	case epoch > super.CurrentEpoch:
		m.complain("ERROR: Export PG's map_epoch %d > OSD's epoch %d", epoch, super.CurrentEpoch)
		m.complain("The OSD you are using is older than the exported PG")
		return m.fail("Either use another OSD or join selected OSD to cluster to update it first")
	case epoch < super.OldestMap:
		m.complain("PG export's map %d is older than OSD's oldest_map %d", epoch, super.OldestMap)
		return m.fail("The OSD could not start from it: the maps since are gone")
	}
	return nil
}

// checkPGNum finds that the pool has as many PGs as it had: the objects of a PG that
// was split since belong to others too.
func (m *importer) checkPGNum(was *osdmap.Map) error {
	old := was.Pools[m.pg.Pool]
	if old == nil || m.pg.Seed >= old.PGNum {
		return corrupt("the export's OSDMap does not have PG %v", m.pg)
	}
	cur, err := m.newestMap()
	if err != nil {
		return err
	}
	if n := cur.Pools[m.pg.Pool].PGNum; n != old.PGNum {
		m.complain("pool %d pg_num %d -> %d: pgid %v was split or merged since the export", m.pg.Pool, old.PGNum, n, m.pg)
		return statusSplit
	}
	m.pgNum = old.PGNum
	return nil
}

// object writes one object, in one transaction unless it is large. Its data comes
// first, so that what a crash leaves of a large one lacks its attributes.
func (m *importer) object(body []byte) error {
	b, err := decode("object", body, decodeObjectBegin)
	if err != nil {
		return err
	}
	if b.gid.Pool != m.pg.Pool || b.gid.Shard != m.pg.Shard || b.gid.Name == "" {
		return corrupt("object %v is none of PG %v", b.gid, m.pg)
	}
	tx := &objectstore.Transaction{}
	if skip := !m.pg.Contains(b.gid.Hash, m.pgNum); skip {
		m.complain("Skipping object '%v' which belongs in another pg", b.gid)
		m.skipped = true
		return m.parts(b.gid, nil)
	}
	m.progress.object("Write", b.gid, b.info.Size)
	tx.Touch(m.coll, b.gid)
	return m.parts(b.gid, tx)
}

// parts reads the sections of an object to their end and writes them; with tx nil it
// only reads.
func (m *importer) parts(g object.GID, tx *objectstore.Transaction) error {
	room := txChunk
	for {
		kind, body, err := m.dump.next()
		if err != nil {
			return err
		}
		if kind == secObjectEnd {
			if tx == nil {
				return nil
			}
			return m.submit(tx)
		}
		if tx == nil {
			continue
		}
		if room -= len(body); room < 0 {
			if err := m.submit(tx); err != nil {
				return err
			}
			tx, room = &objectstore.Transaction{}, txChunk
		}
		if err := m.part(g, tx, kind, body); err != nil {
			return err
		}
	}
}

func (m *importer) part(g object.GID, tx *objectstore.Transaction, kind sectionType, body []byte) error {
	switch kind {
	case secData:
		p, err := decode("data", body, decodeDataPart)
		if err == nil {
			tx.Write(m.coll, g, p.off, wire.BufOf(p.data))
		}
		return err
	case secAttrs:
		attrs, err := decode("attributes", body, decodePairs)
		if err == nil {
			tx.SetAttrs(m.coll, g, attrs)
		}
		return err
	case secOmapHeader:
		head, err := decode("omap header", body, decodeBlob)
		if err == nil && len(head) > 0 {
			tx.OmapHeader(m.coll, g, head)
		}
		return err
	case secOmap:
		pairs, err := decode("omap", body, decodePairs)
		if err == nil {
			tx.OmapSet(m.coll, g, pairs)
		}
		return err
	}
	return corrupt("Unknown section type %d", kind)
}

// finish stores info and log and takes the mark off.
func (m *importer) finish() error {
	p := &m.meta
	log, err := pglog.Index(p.log)
	if err != nil {
		return corrupt("log: %v", err)
	}
	if m.skipped {
		p.info.Stats.StatsInvalid = true
	}
	fmt.Fprintf(m.out, "write_pg epoch %d info %v\n", p.epoch, &p.info)
	c := pglog.Copy{Info: p.info, Log: log, Missing: p.missing}
	tx := &objectstore.Transaction{}
	tx.OmapSet(m.coll, m.pg.MetaObject(), pglog.MetaKeys(c, p.epoch, p.past, false))
	pglog.UnmarkForRemoval(tx, m.pg)
	return m.submit(tx)
}
