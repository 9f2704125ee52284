package msgr

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/entity"
	"sepiola/wire"
)

const goldenDir = "../testdata/golden/msgr"

func goldenFiles(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(goldenDir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files %s: %v", pattern, err)
	}
	files := map[string][]byte{}
	for _, n := range names {
		p, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(n)] = p
	}
	return files
}

// feed gives p to the reader in pieces of at most n bytes and calls on for what
// is complete. It returns the reader's error.
func feed(r *frameReader, p []byte, n int, on func(readerStep)) error {
	for {
		step, err := r.next()
		if err != nil {
			return err
		}
		if step != stepMore {
			on(step)
			continue
		}
		if len(p) == 0 {
			return nil
		}
		k := copy(r.want(), p[:min(n, len(p))])
		r.got(k)
		p = p[k:]
	}
}

// encode writes what the reader has read once more.
func encode(t testing.TB, rev1 bool, out *received) []byte {
	t.Helper()
	if out.tag != tagMessage {
		ctl, err := decodeControl(out.tag, out.payload)
		if err != nil {
			t.Fatal(err)
		}
		return frameBytes(rev1, ctl)
	}
	var b batch
	b.reset()
	b.message(rev1, &out.head, &Message{Front: out.segs[1], Middle: out.segs[2], Data: out.segs[3]})
	b.flush()
	return wire.Buf(b.iov).Flat()
}

// TestGoldenFrames: every frame that the reference sends is read, and written
// again byte for byte, whatever the pieces it arrives in.
func TestGoldenFrames(t *testing.T) {
	for name, p := range goldenFiles(t, "*.bin") {
		for _, piece := range []int{1, 7, 1 << 20} {
			r := newFrameReader()
			r.phase, r.rev1, r.open = phasePreamble, true, true
			frames := 0
			err := feed(r, p, piece, func(step readerStep) {
				if step != stepFrame {
					return
				}
				frames++
				if want, _, _ := strings.Cut(name, "-"); want != "reject" && r.out.tag.String() != want {
					t.Errorf("%s: read as %v", name, r.out.tag)
				}
				if got := encode(t, true, &r.out); !bytes.Equal(got, p) {
					t.Errorf("%s: written as\n%x, was\n%x", name, got, p)
				}
			})
			if err != nil || frames != 1 {
				t.Errorf("%s in pieces of %d: %d frames, error %v", name, piece, frames, err)
			}
		}
	}
}

// TestGoldenConversations: whole connections of the reference are read to their
// last byte and written again the same.
func TestGoldenConversations(t *testing.T) {
	for name, p := range goldenFiles(t, "conversation-*") {
		for _, piece := range []int{1, 4096} {
			r := newFrameReader()
			r.rev1 = true
			var again []byte
			err := feed(r, p, piece, func(step readerStep) {
				switch step {
				case stepBanner:
					again = append(again, banner{r.peer.supported, r.peer.required}.bytes()...)
				case stepFrame:
					r.open = true
					again = append(again, encode(t, true, &r.out)...)
				}
			})
			if err != nil || !bytes.Equal(again, p[:len(again)]) || len(p)-len(again) >= preambleLen {
				t.Errorf("%s in pieces of %d: %d of %d bytes written again, error %v", name, piece, len(again), len(p), err)
			}
		}
	}
}

// TestFrameRoundTrip: messages of any shape come back whole in both revisions.
func TestFrameRoundTrip(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), (9<<20)/16)
	for _, rev1 := range []bool{true, false} {
		for _, lens := range [][3]int{{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {300, 70, 350}, {100000, 0, 9 << 20}, {0, 5 << 20, 3}} {
			m := &Message{Front: wire.BufOf(big[:lens[0]]), Middle: wire.Buf{big[:lens[1]/2], big[lens[1]/2 : lens[1]]}, Data: wire.BufOf(big[:lens[2]])}
			out := received{tag: tagMessage, head: messageHead{seq: 3, tid: 5, kind: 42, ackSeq: 9, dataOff: 11}}
			out.segs[1], out.segs[2], out.segs[3] = m.Front, m.Middle, m.Data
			p := encode(t, rev1, &out)
			r := newFrameReader()
			r.phase, r.rev1, r.open = phasePreamble, rev1, true
			frames := 0
			err := feed(r, p, 1<<20, func(step readerStep) {
				if step == stepFrame {
					frames++
					if r.out.head != out.head || !r.out.segs[1].Equal(m.Front) || !r.out.segs[2].Equal(m.Middle) || !r.out.segs[3].Equal(m.Data) {
						t.Errorf("rev1=%v %v: not the same", rev1, lens)
					}
				}
			})
			if err != nil || frames != 1 {
				t.Errorf("rev1=%v %v: %d frames, error %v", rev1, lens, frames, err)
			}
		}
	}
}

// TestCorruptFrames: a frame with any one byte changed is refused, or is one whose
// change is in bytes that mean nothing.
func TestCorruptFrames(t *testing.T) {
	out := received{tag: tagMessage, head: messageHead{seq: 1}}
	out.segs[1], out.segs[3] = wire.BufOf([]byte("front")), wire.BufOf(bytes.Repeat([]byte{7}, 600))
	p := encode(t, true, &out)
	for i := range p {
		q := bytes.Clone(p)
		q[i] ^= 0x10
		r := newFrameReader()
		r.phase, r.rev1, r.open = phasePreamble, true, true
		frames := 0
		err := feed(r, q, 1<<20, func(step readerStep) {
			if step == stepFrame {
				frames++
			}
		})
		// The upper nibble of the late status is reserved.
		if late := len(p) - epilogueLenRev1; err == nil && frames > 0 && i != late {
			t.Errorf("a change at byte %d of %d went unnoticed", i, len(p))
		}
	}
}

// TestAbortedFrame: a frame its sender gave up is passed over and the next one
// read.
func TestAbortedFrame(t *testing.T) {
	out := received{tag: tagMessage, head: messageHead{seq: 1}}
	out.segs[3] = wire.BufOf(make([]byte, 5000))
	p := encode(t, true, &out)
	p[len(p)-epilogueLenRev1] = lateAborted
	out.head.seq = 2
	p = append(p, encode(t, true, &out)...)
	r := newFrameReader()
	r.phase, r.rev1, r.open = phasePreamble, true, true
	var seqs []uint64
	err := feed(r, p, 100, func(step readerStep) {
		if step == stepFrame {
			seqs = append(seqs, r.out.head.seq)
		}
	})
	if err != nil || len(seqs) != 1 || seqs[0] != 2 {
		t.Errorf("read %v, error %v", seqs, err)
	}
}

// TestAbsurdLengths: lengths alone are refused beyond the limits, and within them
// cost no more memory than stated.
func TestAbsurdLengths(t *testing.T) {
	head := func(tag tag, lens ...uint32) []byte {
		p := preamble{tag: tag, n: len(lens)}
		for i, n := range lens {
			p.segs[i].length = n
		}
		b := make([]byte, preambleLen)
		p.put(b)
		return b
	}
	refused := map[string][]byte{
		"control":       head(tagHello, MaxControl+1),
		"two segments":  head(tagHello, 1, 1),
		"header":        head(tagMessage, 42, 1),
		"front":         head(tagMessage, messageHeadLen, MaxFront+1),
		"data":          head(tagMessage, messageHeadLen, 0, 0, MaxData+1),
		"empty last":    head(tagMessage, messageHeadLen, 0),
		"unknown tag":   head(numTags, 1),
		"tag 0":         head(0, 1),
		"no segments":   head(tagAck),
		"five segments": append([]byte{byte(tagMessage), 5}, make([]byte, 30)...),
	}
	for name, p := range refused {
		r := newFrameReader()
		r.phase, r.rev1, r.open = phasePreamble, true, true
		if err := feed(r, p, len(p), func(readerStep) {}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r := newFrameReader()
	r.phase, r.rev1, r.open = phasePreamble, true, true
	out := received{tag: tagMessage, head: messageHead{seq: 1}}
	first := encode(t, true, &out)[preambleLen:]
	p := append(head(tagMessage, messageHeadLen, 0, 0, MaxData), first...)
	if err := feed(r, p, len(p), func(readerStep) {}); err != nil {
		t.Fatal(err)
	}
	if got := cap(r.dst); got > chunkFirst {
		t.Errorf("%d bytes allocated for data that has not arrived", got)
	}
	closed := newFrameReader()
	closed.phase, closed.rev1 = phasePreamble, true
	if err := feed(closed, p, len(p), func(readerStep) {}); err == nil {
		t.Error("a message before the session is open was accepted")
	}
}

// TestBanner: anything but the banner is refused at once, naming messenger v1 for
// what it is.
func TestBanner(t *testing.T) {
	good := banner{featureRevision1, 0}.bytes()
	long := append(bytes.Clone(good), 1, 2, 3)
	long[len(bannerPrefix)] += 3
	for name, c := range map[string]struct {
		p  []byte
		ok bool
	}{
		"good": {good, true}, "longer": {long, true},
		"http": {[]byte("GET / HTTP/1.1\r\n\r\n"), false}, "first byte": {[]byte("x"), false},
		"v1": {[]byte("ceph v027 and more"), false}, "v1 short": {[]byte("ceph v0"), false},
		"short payload": {append([]byte(bannerPrefix), 8, 0), false},
		"long payload":  {append([]byte(bannerPrefix), 0xff, 0xff), false},
	} {
		r := newFrameReader()
		got := false
		err := feed(r, c.p, 3, func(s readerStep) { got = s == stepBanner })
		if c.ok != (err == nil && got) {
			t.Errorf("%s: banner %v, error %v", name, got, err)
		}
		if strings.HasPrefix(name, "v1") && !strings.Contains(err.Error(), "v1") {
			t.Errorf("%s: error %v does not name messenger v1", name, err)
		}
	}
}

// TestRaceOrder: connection races are decided by Ceph's order of addresses, which
// compares memory, so that both ends agree.
func TestRaceOrder(t *testing.T) {
	addr := func(s string) entity.Addr {
		a, err := entity.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	// Nonce 256 is 00 01 00 00 in memory, before nonce 1.
	ascending := []string{"v2:10.0.0.2:6800/256", "v2:10.0.0.1:6800/1", "v2:10.0.0.2:6800/1", "v2:10.0.0.1:6801/1", "any:0.0.0.1:1/0"}
	for i := range ascending {
		for j := range ascending {
			if got := raceLess(addr(ascending[i]), addr(ascending[j])); got != (i < j) {
				t.Errorf("%s < %s is %v", ascending[i], ascending[j], got)
			}
		}
	}
}

// FuzzFrames: no bytes make the reader fail, or take more memory than has arrived.
func FuzzFrames(f *testing.F) {
	for _, p := range goldenFiles(f, "*") {
		f.Add(p, true, false, uint16(100))
		f.Add(p, true, true, uint16(1))
	}
	f.Fuzz(func(t *testing.T, p []byte, rev1, skipBanner bool, piece uint16) {
		r := newFrameReader()
		r.rev1, r.open = rev1, true
		if skipBanner {
			r.phase = phasePreamble
		}
		feed(r, p, int(piece)+1, func(s readerStep) {
			if s == stepFrame && r.out.tag != tagMessage {
				if c, err := decodeControl(r.out.tag, r.out.payload); err == nil {
					again := frameBytes(rev1, c)
					if _, err := decodeControl(r.out.tag, again[preambleLen:]); err != nil && len(again) > preambleLen {
						t.Errorf("%v does not decode again: %v", r.out.tag, err)
					}
				}
			}
		})
		if len(r.dst) > chunkFirst+len(p) {
			t.Errorf("%d bytes allocated for %d received", len(r.dst), len(p))
		}
	})
}
