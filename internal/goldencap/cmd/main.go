// Command cmd extracts golden messages from captures of a Ceph cluster's
// loopback traffic; see package goldencap and testdata/README.md.
//
//	go run ./internal/goldencap/cmd -out DIR [-types 80-134,150] FILE.pcap...
//
// Of each type and version it keeps up to three samples: the shortest, the
// longest, and the one in the middle, all of at most -max bytes. Of client
// operations and their replies it keeps one of each list of operation codes.
// Types that package message does not know are counted and not kept.
package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sepiola/internal/goldencap"
	"sepiola/message"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "", "directory for the samples; without it they are only counted")
	types := flag.String("types", "0-65535", "message types to keep, as ranges")
	maxSize := flag.Int("max", 16<<10, "longest sample to keep, bytes")
	perType := flag.Int("n", 3, "samples of each type and version")
	flag.Parse()
	keep, err := parseRanges(*types)
	if err != nil {
		log.Fatal(err)
	}
	groups := map[string][]*goldencap.Sample{}
	seen := map[uint16]int{}
	for _, name := range flag.Args() {
		f, err := os.Open(name)
		if err != nil {
			log.Fatal(err)
		}
		messages, err := goldencap.Messages(f)
		f.Close()
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		for _, m := range messages {
			seen[m.Type]++
			if keep(m.Type) && message.Lookup(m.Type) != nil && m.Size() <= *maxSize {
				groups[shape(m)] = append(groups[shape(m)], m)
			}
		}
	}
	var chosen []*goldencap.Sample
	for _, g := range groups {
		n := *perType
		if g[0].Type == message.MsgOSDOp || g[0].Type == message.MsgOSDOpReply {
			n = 1
		}
		chosen = append(chosen, choose(g, n)...)
	}
	if *out != "" {
		write(*out, chosen)
	}
	for t, n := range seen {
		fmt.Printf("%5d %6d %s\n", t, n, message.TypeName(t))
	}
}

// parseRanges reads "1-3,7".
func parseRanges(s string) (func(uint16) bool, error) {
	type span struct{ lo, hi uint64 }
	var spans []span
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, ok := strings.Cut(part, "-")
		if !ok {
			hi = lo
		}
		a, err1 := strconv.ParseUint(lo, 0, 16)
		b, err2 := strconv.ParseUint(hi, 0, 16)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%q is not a range of types", part)
		}
		spans = append(spans, span{a, b})
	}
	return func(t uint16) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return s.lo <= uint64(t) && uint64(t) <= s.hi })
	}, nil
}

// shape tells samples apart that are worth keeping beside each other.
func shape(m *goldencap.Sample) string {
	s := fmt.Sprintf("%d/%d", m.Type, m.Version)
	if m.Type != message.MsgOSDOp && m.Type != message.MsgOSDOpReply {
		return s
	}
	return s + "/" + opCodes(m)
}

// choose returns up to n samples, spread over the sizes, no two alike.
func choose(g []*goldencap.Sample, n int) []*goldencap.Sample {
	slices.SortStableFunc(g, func(a, b *goldencap.Sample) int {
		return cmp.Or(cmp.Compare(a.Size(), b.Size()), bytes.Compare(a.Marshal(), b.Marshal()))
	})
	g = slices.CompactFunc(g, func(a, b *goldencap.Sample) bool { return bytes.Equal(a.Marshal(), b.Marshal()) })
	if len(g) <= n {
		return g
	}
	if n == 1 {
		return g[len(g)/2 : len(g)/2+1]
	}
	out := make([]*goldencap.Sample, n)
	for i := range out {
		out[i] = g[i*(len(g)-1)/(n-1)]
	}
	return out
}

// opCodes names the operations of a client's request or of its reply, and
// whether it failed.
func opCodes(m *goldencap.Sample) string {
	f := m.Front
	if m.Type == message.MsgOSDOp {
		return "ops " + codesAt(f, opsOffset(f), 2)
	}
	le := binary.LittleEndian
	if len(f) < 4 {
		return ""
	}
	off := 4 + int(le.Uint32(f)) + 17 + 8
	if off+20 > len(f) {
		return ""
	}
	failed := int32(le.Uint32(f[off:])) < 0
	return fmt.Sprint(codesAt(f, off+4+12+4, 4), failed)
}

// opsOffset is where the operations of a version 8 request begin: after PG,
// hash, epoch, flags, request id, trace, incarnation and time come two values
// of varying length, locator and name.
func opsOffset(f []byte) int {
	le := binary.LittleEndian
	off := 24 + 12 + (6 + 9 + 8 + 4) + 24 + 4 + 8
	if off+6 > len(f) {
		return len(f)
	}
	off += 6 + int(le.Uint32(f[off+2:]))
	if off+4 > len(f) {
		return len(f)
	}
	return off + 4 + int(le.Uint32(f[off:]))
}

// codesAt reads a count of width bytes at off, and the codes after it.
func codesAt(f []byte, off, width int) string {
	if off+width > len(f) {
		return ""
	}
	n := int(binary.LittleEndian.Uint16(f[off:]))
	var s []string
	for off += width; n > 0 && off+38 <= len(f); n, off = n-1, off+38 {
		s = append(s, fmt.Sprintf("%x", binary.LittleEndian.Uint16(f[off:])))
	}
	return strings.Join(s, ",")
}

func write(dir string, chosen []*goldencap.Sample) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		log.Fatal(err)
	}
	slices.SortFunc(chosen, func(a, b *goldencap.Sample) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Version, b.Version), strings.Compare(shape(a), shape(b)), bytes.Compare(a.Marshal(), b.Marshal()))
	})
	count := map[string]int{}
	for _, m := range chosen {
		prefix := fmt.Sprintf("%d-%s-v%d", m.Type, fileName(m.Type), m.Version)
		count[prefix]++
		name := filepath.Join(dir, fmt.Sprintf("%s-%d.bin", prefix, count[prefix]))
		if err := os.WriteFile(name, m.Marshal(), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func fileName(t uint16) string {
	return strings.ReplaceAll(message.TypeName(t), "-", "_")
}
