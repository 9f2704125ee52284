package crash

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"sepiola/rados"
)

// content is what a client can see of an object. It is not changed once made.
type content struct {
	exists bool
	data   []byte
	attrs  map[string]string
	omap   map[string]string
	header string
}

// digest stands for a content in histories.
type digest [sha256.Size]byte

func (c *content) digest() digest {
	var b bytes.Buffer
	put := func(s string) { fmt.Fprintf(&b, "%d:%s", len(s), s) }
	putMap := func(m map[string]string) {
		fmt.Fprintf(&b, "%d;", len(m))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			put(k)
			put(m[k])
		}
	}
	fmt.Fprintf(&b, "%v;", c.exists)
	put(string(c.data))
	putMap(c.attrs)
	putMap(c.omap)
	put(c.header)
	return sha256.Sum256(b.Bytes())
}

// String says what a content is made of, change by change.
func (c *content) String() string {
	if !c.exists {
		return "no object"
	}
	return fmt.Sprintf("%d bytes [%s], attributes %v, omap %v, header %q", len(c.data), pieces(c.data), c.attrs, c.omap, c.header)
}

// recordSize is the length of the lines that data consists of.
const recordSize = 48

// payload returns n bytes that name their object, change and position.
func payload(object string, seq, n int) []byte {
	out := make([]byte, 0, n+recordSize)
	for i := 0; len(out) < n; i++ {
		line := fmt.Sprintf("%-16.16s %7d %7d ", object, seq, i)
		out = fmt.Appendf(out, "%s%08x%*s\n", line, crc32.ChecksumIEEE([]byte(line)), recordSize-len(line)-9, "")
	}
	return out[:n]
}

// pieces says which changes the bytes are of.
func pieces(data []byte) string {
	var out []string
	last := ""
	for off := 0; off < len(data); off += recordSize {
		what := "other"
		line := data[off:min(off+recordSize, len(data))]
		if f := strings.Fields(string(line)); len(line) == recordSize && len(f) == 4 {
			what = "change " + f[1]
		} else if len(bytes.Trim(line, "\x00")) == 0 {
			what = "zeros"
		}
		if what != last {
			out = append(out, fmt.Sprintf("%d: %s", off, what))
		}
		last = what
	}
	if len(out) > 12 {
		out = append(out[:12], "...")
	}
	return strings.Join(out, ", ")
}

// changeKind is what one sub-operation does.
type changeKind int

const (
	writeFull changeKind = iota
	writeAt
	appendTo
	truncate
	zero
	setAttr
	rmAttr
	setOmap
	rmOmap
	setHeader
	remove
)

// change is one sub-operation on an object.
type change struct {
	kind changeKind
	off  int
	size int // of truncate and zero
	data []byte
	key  string
	kv   map[string]string
}

// step is a compound operation: all of its changes, or none.
type step []change

func (s step) String() string {
	var out []string
	for _, c := range s {
		name := [...]string{"writefull", "write", "append", "truncate", "zero", "setxattr", "rmxattr", "omap set", "omap rm", "omap header", "remove"}[c.kind]
		switch c.kind {
		case writeFull, appendTo:
			name += fmt.Sprintf(" %d", len(c.data))
		case writeAt:
			name += fmt.Sprintf(" %d~%d", c.off, len(c.data))
		case truncate:
			name += fmt.Sprintf(" %d", c.size)
		case zero:
			name += fmt.Sprintf(" %d~%d", c.off, c.size)
		case setAttr, rmAttr, rmOmap:
			name += " " + c.key
		case setOmap:
			name += fmt.Sprint(" ", slices.Sorted(maps.Keys(c.kv)))
		}
		out = append(out, name)
	}
	return strings.Join(out, " + ")
}

// apply returns what a step makes of a content.
func (s step) apply(c content) content {
	for i := range s {
		c = s[i].apply(c)
	}
	return c
}

func (ch *change) apply(c content) content {
	if ch.kind == remove {
		return content{}
	}
	c.exists = true
	switch ch.kind {
	case writeFull:
		c.data = ch.data
	case appendTo:
		c.data = slices.Concat(c.data, ch.data)
	case writeAt:
		c.data = overwrite(c.data, ch.off, ch.data)
	case truncate:
		c.data = overwrite(c.data[:min(ch.size, len(c.data))], ch.size, nil)
	case zero:
		// Zeros up to the end or beyond shorten the object, as RADOS has it
		// (PrimaryLogPG::do_osd_ops turns such a zero into a truncation).
		if ch.off+ch.size >= len(c.data) {
			c.data = c.data[:min(ch.off, len(c.data))]
		} else {
			c.data = overwrite(c.data, ch.off, make([]byte, ch.size))
		}
	case setAttr:
		c.attrs = with(c.attrs, map[string]string{ch.key: string(ch.data)})
	case rmAttr:
		c.attrs = without(c.attrs, ch.key)
	case setOmap:
		c.omap = with(c.omap, ch.kv)
	case rmOmap:
		c.omap = without(c.omap, ch.key)
	case setHeader:
		c.header = string(ch.data)
	}
	return c
}

// overwrite returns data with p at off, zeros in a gap before it.
func overwrite(data []byte, off int, p []byte) []byte {
	out := make([]byte, max(len(data), off+len(p)))
	copy(out, data)
	copy(out[off:], p)
	return out
}

func with(m, more map[string]string) map[string]string {
	out := make(map[string]string, len(m)+len(more))
	maps.Copy(out, m)
	maps.Copy(out, more)
	return out
}

func without(m map[string]string, key string) map[string]string {
	out := maps.Clone(m)
	delete(out, key)
	return out
}

// op returns the step as an operation.
func (s step) op() *rados.Op {
	o := new(rados.Op)
	for i := range s {
		switch c := &s[i]; c.kind {
		case writeFull:
			o.WriteFull(c.data)
		case appendTo:
			o.Append(c.data)
		case writeAt:
			o.Write(uint64(c.off), c.data)
		case truncate:
			o.Truncate(uint64(c.size))
		case zero:
			o.Zero(uint64(c.off), uint64(c.size))
		case setAttr:
			o.SetXattr(c.key, c.data)
		case rmAttr:
			o.RmXattr(c.key)
		case setOmap:
			kv := map[string][]byte{}
			for k, v := range c.kv {
				kv[k] = []byte(v)
			}
			o.OmapSet(kv)
		case rmOmap:
			o.OmapRmKeys([]string{c.key})
		case setHeader:
			o.OmapSetHeader(c.data)
		case remove:
			o.Remove()
		}
	}
	return o
}

// Bounds of what the workload makes of an object.
const (
	dataMax  = 160 << 10 // larger than what filestore writes past its journal
	writeMax = 24 << 10
	keysMax  = 40
)

// choose makes up the next step for an object that is as given. Whatever it returns
// must succeed there.
func choose(rng *rand.Rand, object string, seq int, c *content) step {
	bytesOf := func(most int) []byte { return payload(object, seq, 1+rng.IntN(most)) }
	small := []byte(fmt.Sprintf("%s:%d", object, seq))
	attr := fmt.Sprintf("a%d", rng.IntN(6))
	n := rng.IntN(100)
	switch {
	case !c.exists && n < 50:
		return step{{kind: writeFull, data: bytesOf(writeMax)}, {kind: setAttr, key: "seq", data: small}}
	case !c.exists && n < 80, n < 20:
		if len(c.data) >= dataMax {
			return step{{kind: truncate, size: rng.IntN(dataMax / 2)}}
		}
		return step{{kind: appendTo, data: bytesOf(writeMax)}}
	case !c.exists:
		return step{{kind: setOmap, kv: someOmap(rng, c, string(small))}}
	case n < 32:
		size := writeMax
		if n == 20 {
			size = dataMax
		}
		return step{{kind: writeFull, data: bytesOf(size)}, {kind: setAttr, key: "seq", data: small}}
	case n < 50:
		return step{{kind: writeAt, off: rng.IntN(min(dataMax, len(c.data)+4096)), data: bytesOf(writeMax)}}
	case n < 54:
		return step{{kind: truncate, size: rng.IntN(len(c.data) + 4096)}}
	case n < 58 && len(c.data) > 1:
		off := rng.IntN(len(c.data) - 1)
		return step{{kind: zero, off: off, size: 1 + rng.IntN(len(c.data)-off)}}
	case n < 66:
		return step{{kind: setAttr, key: attr, data: bytesOf(3000)}}
	case n < 69 && c.attrs[attr] != "":
		return step{{kind: rmAttr, key: attr}}
	case n < 82:
		return step{{kind: setOmap, kv: someOmap(rng, c, string(small))}}
	case n < 86 && len(c.omap) > 0:
		return step{{kind: rmOmap, key: slices.Sorted(maps.Keys(c.omap))[rng.IntN(len(c.omap))]}}
	case n < 88:
		return step{{kind: setHeader, data: small}}
	case n < 92:
		return step{{kind: remove}}
	}
	return step{{kind: appendTo, data: bytesOf(1000)}, {kind: setAttr, key: "seq", data: small},
		{kind: setOmap, kv: map[string]string{"last": string(small)}}}
}

func someOmap(rng *rand.Rand, c *content, value string) map[string]string {
	kv := map[string]string{}
	for range 1 + rng.IntN(5) {
		kv[fmt.Sprintf("k%03d", rng.IntN(keysMax))] = value + strings.Repeat(".", rng.IntN(200))
	}
	return kv
}
