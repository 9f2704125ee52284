package osd

import (
	"net/netip"
	"testing"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
)

// clientEnd is a client's end of a connection: what it gets, and whether it lost it.
type clientEnd struct{ got chan message.Body }

func (e *clientEnd) Dispatch(_ *msgr.Conn, m *msgr.Message) {
	if b, err := message.Decode(m); err == nil {
		e.got <- b
	}
}
func (e *clientEnd) Connected(*msgr.Conn)   {}
func (e *clientEnd) Accepted(*msgr.Conn)    {}
func (e *clientEnd) Reset(*msgr.Conn)       { e.got <- nil }
func (e *clientEnd) RemoteReset(*msgr.Conn) {}
func (e *clientEnd) Refused(*msgr.Conn)     {}

// A client that asks by a ping whether its connection holds, since an operation takes
// long, keeps it: losing it would lose its place.
func TestPingFromClient(t *testing.T) {
	d := &Daemon{tells: make(chan struct{}, 1), sessions: map[*session]struct{}{}}
	server := msgr.New(msgr.Config{Name: entity.OSD(0), DefaultPolicy: msgr.StatelessServer(),
		AuthServer: &msgr.NoneServer{}}, (*publicDispatcher)(d))
	if err := server.Bind(netip.MustParseAddrPort("127.0.0.1:0"), 0, 0); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Shutdown)
	end := &clientEnd{make(chan message.Body, 10)}
	client := msgr.New(msgr.Config{Name: entity.Client(7), DefaultPolicy: msgr.LossyClient(),
		AuthClient: &msgr.NoneClient{Name: entity.AuthName{Type: entity.TypeClient, ID: "admin"}}}, end)
	client.Start()
	t.Cleanup(client.Shutdown)
	c := client.Connect(server.Addrs(), entity.TypeOSD)
	for _, b := range []message.Body{&message.Ping{}, &message.CommandMsg{TID: 5, Cmd: []string{"{"}}} {
		if err := c.Send(message.Encode(b, msgr.FeaturesAll)); err != nil {
			t.Fatal(err)
		}
	}
	if r, ok := (<-end.got).(*message.CommandReply); !ok || r.TID != 5 {
		t.Errorf("after a ping the next message was answered %+v", r)
	}
}
