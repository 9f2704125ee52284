package adminsocket

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/command"
	"sepiola/config"
)

func newServer(t *testing.T) (*Server, *config.Config, string) {
	t.Helper()
	conf := config.New("osd", "0")
	s := New(hclog.NewNullLogger(), conf)
	s.Register("echo name=text,type=CephString", "say it again", func(a command.Args) (any, error) {
		return map[string]string{"text": a.String("text")}, nil
	})
	s.Register("raw", "bytes as they are", func(command.Args) (any, error) { return []byte("raw\n"), nil })
	s.Register("fail", "does not work", func(command.Args) (any, error) { return nil, errors.New("out of order") })
	path := filepath.Join(t.TempDir(), "asok")
	if err := s.Listen(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, conf, path
}

// ask sends bytes and reads the answer as src/common/admin_socket_client.cc does.
func ask(t *testing.T, path, request string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return "closed"
	}
	out, err := io.ReadAll(c)
	if err != nil || len(out) != int(binary.BigEndian.Uint32(head)) {
		t.Fatalf("%d bytes of an answer of %d (%v)", len(out), binary.BigEndian.Uint32(head), err)
	}
	return string(out)
}

// One command, one answer: JSON with indentation, or as the command says, or an error.
func TestExchange(t *testing.T) {
	_, conf, path := newServer(t)
	for _, c := range []struct{ request, want string }{
		{`{"prefix":"echo","text":"a\"b"}` + "\x00", "{\n    \"text\": \"a\\\"b\"\n}\n"},
		{`{"prefix":"echo","text":"x","format":"json"}` + "\n", `{"text":"x"}`},
		{"raw\n", "raw\n"},
		{"raw\x00trailing", "raw\n"},
		{"fail\n", "ERROR: out of order\n"},
		{"nonsense\n", `ERROR: unknown command "nonsense"; "help" lists those there are` + "\n"},
		{`{"prefix":"echo"}` + "\x00", "ERROR: missing required parameter text(<cephstring>)\n"},
		{"{\x00", "ERROR: command is not valid JSON: unexpected end of JSON input\n"},
		{`{"prefix":"config set","var":"debug_osd","val":["7"]}` + "\x00", "success"},
		{`{"prefix":"config get","var":"debug osd"}` + "\x00", "{\n    \"debug_osd\": \"7/7\"\n}\n"},
		{`{"prefix":"config set","var":"debug_osd","val":["loud"]}` + "\x00", "(22) Invalid argument"},
		{`{"prefix":"config get","var":"nothing"}` + "\x00", "(2) No such file or directory"},
		{`{"prefix":"config set","var":"debug_osd","val":["1","2"]}` + "\x00", "takes one value"},
		{`{"prefix":"config help","var":"nothing"}` + "\x00", "not found"},
		{strings.Repeat("x", commandBytesMax), "closed"},
	} {
		if got := ask(t, path, c.request); got != c.want && (len(c.want) > 40 || !strings.Contains(got, c.want)) {
			t.Errorf("%.50q was answered %.90q, want %q", c.request, got, c.want)
		}
	}
	if conf.Int("debug_osd") != 7 {
		t.Error("config set sets nothing")
	}
}

// The commands every daemon has say what they must.
func TestCommonCommands(t *testing.T) {
	s, _, path := newServer(t)
	var help map[string]string
	if err := json.Unmarshal([]byte(ask(t, path, "help\n")), &help); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"help", "version", "config show", "config get", "config set", "config diff", "echo", "get_command_descriptions"} {
		if _, ok := help[name]; !ok {
			t.Errorf("help lacks %q", name)
		}
	}
	var descriptions map[string]json.RawMessage
	if err := json.Unmarshal([]byte(ask(t, path, "get_command_descriptions\n")), &descriptions); err != nil || len(descriptions) != len(s.Specs()) {
		t.Errorf("%d descriptions of %d commands (%v)", len(descriptions), len(s.Specs()), err)
	}
	var show map[string]string
	if err := json.Unmarshal([]byte(ask(t, path, `{"prefix":"config show"}`+"\x00")), &show); err != nil || show["name"] != "osd.0" || show["osd_max_object_size"] == "" {
		t.Errorf("config show: %v %v", show["name"], err)
	}
	if _, err := s.Call(command.Args{"prefix": "no"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown command: %v", err)
	}
}

// A socket of a daemon that died is replaced; one that answers, or a file that is no
// socket, is not.
func TestListen(t *testing.T) {
	s, conf, path := newServer(t)
	other := New(hclog.NewNullLogger(), conf)
	if err := other.Listen(path); err == nil || !strings.Contains(err.Error(), "another daemon answers there") {
		t.Errorf("on a socket in use: %v", err)
	}
	s.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close the socket is there: %v", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := other.Listen(path); err != nil {
		t.Errorf("on a socket left behind: %v", err)
	}
	other.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := New(hclog.NewNullLogger(), conf).Listen(path); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("on a file: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("the file is gone")
	}
	if err := New(hclog.NewNullLogger(), conf).Listen("/" + strings.Repeat("x", 200)); err == nil || !strings.Contains(err.Error(), "107") {
		t.Errorf("on a long path: %v", err)
	}
}

// Closing does not wait for those who hold all places and say nothing.
func TestCloseWithCrowd(t *testing.T) {
	s, _, path := newServer(t)
	for range connectionsAtOnce + 5 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	done := make(chan struct{})
	go func() { s.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(commandTimeout - time.Second):
		t.Error("Close waits for clients that say nothing")
	}
}
