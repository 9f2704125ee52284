package osdmap

import (
	"bytes"
	"os"
	"testing"

	"sepiola/jsonfmt"
)

func TestScratch2(t *testing.T) {
	dir := "/tmp/osdmapgold/"
	p, _ := os.ReadFile(dir + "full.last")
	m, err := DecodeMap(p)
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll("/tmp/osdmapgold/out", 0o755)
	wr := func(n, s string) { os.WriteFile("/tmp/osdmapgold/out/"+n, []byte(s), 0o644) }
	for _, pretty := range []bool{false, true} {
		w := jsonfmt.New(pretty)
		w.OpenObject("")
		m.DumpJSON(w)
		w.Close()
		n := "dump.json"
		if pretty {
			n = "dump-pretty.json"
		}
		wr(n, "\n"+w.Text())
		w = jsonfmt.New(pretty)
		w.OpenObject("")
		m.DumpTree(w, 0, "")
		w.Close()
		n = "tree.json"
		if pretty {
			n = "tree-pretty.json"
		}
		wr(n, "\n"+w.Text())
	}
	wr("dump.txt", m.Print())
	wr("tree.txt", m.PrintTree(0, ""))
	wr("tree-up.txt", m.PrintTree(TreeUp, ""))
	wr("pools.txt", m.PrintPools())
	mp, err := os.ReadFile(dir + "monmap")
	if err != nil {
		t.Fatal(err)
	}
	mm, err := DecodeMonMap(mp)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mm.Encode(), mp) {
		t.Error("monmap differs")
	}
	wr("mondump.txt", mm.Print())
	w := jsonfmt.New(false)
	w.OpenObject("")
	mm.DumpJSON(w)
	w.Close()
	wr("mondump.json", "\n"+w.Text())
}
