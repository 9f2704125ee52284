package msgr

import (
	"io"
	"net"
	"sync"
	"testing"

	"sepiola/entity"
	"sepiola/wire"
)

// benchConns is how many connections are busy at once.
const benchConns = 64

// asker asks again as soon as it is answered.
type asker struct {
	counter
	left int
	data wire.Buf
	over func()
}

func (d *asker) Dispatch(c *Conn, m *Message) {
	if d.left--; d.left == 0 {
		d.over()
		return
	}
	c.Send(&Message{Type: 1, Priority: PriorityDefault, TID: m.TID + 1, Data: d.data})
}

// BenchmarkRequest64 is questions of many clients at once, one of each.
func BenchmarkRequest64(b *testing.B) {
	for _, size := range benchSizes[:2] {
		b.Run(sizeName(size), func(b *testing.B) {
			srv := startMessenger(b, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer()}, &counter{answer: true, free: true}, true)
			data := wire.BufOf(make([]byte, size))
			var over sync.WaitGroup
			conns := make([]*Conn, benchConns)
			over.Add(benchConns)
			for i := range conns {
				d := &asker{left: b.N/benchConns + 1, data: data, over: over.Done}
				cli := startMessenger(b, Config{Name: entity.Client(int64(i + 1)), DefaultPolicy: LossyClient()}, d, false)
				conns[i] = cli.Connect(srv.Addrs(), entity.TypeOSD)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for _, c := range conns {
				c.Send(&Message{Type: 1, Priority: PriorityDefault, Data: data})
			}
			over.Wait()
		})
	}
}

// BenchmarkBareRequest64 is as many bare ping-pongs.
func BenchmarkBareRequest64(b *testing.B) {
	for _, size := range benchSizes[:2] {
		b.Run(sizeName(size), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
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
				}
			}()
			conns := make([]net.Conn, benchConns)
			for i := range conns {
				if conns[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
					b.Fatal(err)
				}
				defer conns[i].Close()
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			var over sync.WaitGroup
			for _, c := range conns {
				over.Go(func() {
					p, ack := make([]byte, size), make([]byte, 32)
					for range b.N/benchConns + 1 {
						crcUpdate(crcSeed, p)
						c.Write(p)
						if _, err := io.ReadFull(c, ack); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			over.Wait()
		})
	}
}
