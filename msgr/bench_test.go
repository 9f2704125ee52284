package msgr

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"sepiola/entity"
	"sepiola/wire"
)

// counter is a dispatcher that counts bytes and says when enough have come.
type counter struct {
	free   bool // give the payload's memory back
	answer bool
	n      atomic.Int64
	want   int64
	done   chan struct{}
	ticket chan struct{} // one per message that may be in flight
}

func (d *counter) Dispatch(c *Conn, m *Message) {
	if d.free {
		defer m.Free()
	}
	if d.answer {
		c.Send(&Message{Type: 2, Priority: PriorityDefault, TID: m.TID})
		return
	}
	if d.ticket != nil {
		<-d.ticket
	}
	if d.n.Add(1) == d.want {
		close(d.done)
	}
}
func (d *counter) Connected(*Conn)   {}
func (d *counter) Accepted(*Conn)    {}
func (d *counter) Reset(*Conn)       {}
func (d *counter) RemoteReset(*Conn) {}
func (d *counter) Refused(*Conn)     {}

var benchSizes = []int{4 << 10, 64 << 10, 4 << 20}

func sizeName(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%dMiB", n>>20)
	}
	return fmt.Sprintf("%dKiB", n>>10)
}

// BenchmarkStream sends messages one way, a bounded number in flight.
func BenchmarkStream(b *testing.B) {
	for _, size := range benchSizes {
		for _, lossless := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/lossless=%v", sizeName(size), lossless), func(b *testing.B) {
				sp, cp := StatelessServer(), LossyClient()
				if lossless {
					sp, cp = StatefulServer(), LosslessClient()
				}
				window := max(8, min(1024, 16<<20/size))
				d := &counter{free: true, want: int64(b.N), done: make(chan struct{}), ticket: make(chan struct{}, window)}
				srv := startMessenger(b, Config{Name: entity.OSD(0), DefaultPolicy: sp}, d, true)
				cli := startMessenger(b, Config{Name: entity.Client(1), DefaultPolicy: cp}, &counter{}, false)
				c := cli.Connect(srv.Addrs(), entity.TypeOSD)
				data := wire.BufOf(make([]byte, size))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					d.ticket <- struct{}{}
					c.Send(&Message{Type: 1, Priority: PriorityDefault, TID: uint64(i), Data: data})
				}
				<-d.done
			})
		}
	}
}

// BenchmarkRequest sends messages and awaits short answers, one or sixteen at a
// time.
func BenchmarkRequest(b *testing.B) {
	for _, size := range benchSizes {
		for _, depth := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/depth=%d", sizeName(size), depth), func(b *testing.B) {
				srv := startMessenger(b, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer()}, &counter{answer: true, free: true}, true)
				d := &counter{want: int64(b.N), done: make(chan struct{}), ticket: make(chan struct{}, depth)}
				cli := startMessenger(b, Config{Name: entity.Client(1), DefaultPolicy: LossyClient()}, d, false)
				c := cli.Connect(srv.Addrs(), entity.TypeOSD)
				data := wire.BufOf(make([]byte, size))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					d.ticket <- struct{}{}
					c.Send(&Message{Type: 1, Priority: PriorityDefault, TID: uint64(i), Data: data})
				}
				<-d.done
			})
		}
	}
}

// BenchmarkBareStream moves the same bytes over a bare socket and computes the
// same CRCs, a write and a read for each message.
func BenchmarkBareStream(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(sizeName(size), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			done := make(chan uint32)
			go func() {
				c, err := l.Accept()
				if err != nil {
					close(done)
					return
				}
				defer c.Close()
				p := make([]byte, size)
				crc := uint32(0)
				for range b.N {
					if _, err := io.ReadFull(c, p); err != nil {
						break
					}
					crc ^= crcUpdate(crcSeed, p)
				}
				done <- crc
			}()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			crc := uint32(0)
			for range b.N {
				crc ^= crcUpdate(crcSeed, p)
				if _, err := c.Write(p); err != nil {
					b.Fatal(err)
				}
			}
			if got := <-done; got != crc {
				b.Fatalf("crc %x, sent %x", got, crc)
			}
		})
	}
}

// BenchmarkBareRequest is a bare ping-pong: a message there, 32 bytes back.
func BenchmarkBareRequest(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(sizeName(size), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				p, ack := make([]byte, size), make([]byte, 32)
				for {
					if _, err := io.ReadFull(c, p); err != nil {
						return
					}
					crcUpdate(crcSeed, p)
					c.Write(ack)
				}
			}()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			p, ack := make([]byte, size), make([]byte, 32)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				crcUpdate(crcSeed, p)
				c.Write(p)
				if _, err := io.ReadFull(c, ack); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
