// Package adminsocket serves a daemon's admin socket: commands over a Unix
// socket, as "ceph daemon SOCKET COMMAND" sends them.
//
// The exchange is that of src/common/admin_socket.cc in Ceph 16: the client
// writes a command as JSON, ended by a zero byte or a newline, and reads a
// 32-bit big-endian length and as many bytes of answer. One connection carries
// one command. An error is answered as text "ERROR: ...".
package adminsocket

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/command"
	"sepiola/config"
)

// Handler carries out a command. The result is marshalled as JSON with
// indentation, unless it is a []byte or json.RawMessage, which goes out as is.
type Handler func(command.Args) (any, error)

// Server answers on one socket. Its commands can also be carried out by
// [Server.Call], for "ceph tell".
type Server struct {
	log hclog.Logger

	mu       sync.Mutex
	handlers map[string]entry
	listener net.Listener
	closing  chan struct{}
	wg       sync.WaitGroup
}

type entry struct {
	spec command.Spec
	more []command.Spec // other forms of the same prefix
	fn   Handler
}

// ErrUnknown is returned for a command that was not registered; Ceph's EINVAL.
var ErrUnknown = errors.New("unknown command")

// Limits of one exchange.
const (
	commandBytesMax   = 64 << 10
	commandTimeout    = 5 * time.Second  // for the command to arrive
	answerTimeout     = 30 * time.Second // for the answer to be read
	connectionsAtOnce = 64
	pathMax           = 107 // sun_path of unix(7), less its end
)

// New returns a server with the commands every daemon has: help, version and
// those of the configuration.
func New(log hclog.Logger, conf *config.Config) *Server {
	s := &Server{log: log, handlers: map[string]entry{}}
	s.Register("help", "list available commands", s.help)
	s.Register("get_command_descriptions", "list available commands", s.descriptions)
	s.registerVersion()
	s.registerConfig(conf)
	return s
}

// Register adds a command by its signature ("config get name=var,type=CephString").
// A second one of the same prefix replaces the first.
func (s *Server) Register(sig, help string, fn Handler) {
	spec := command.Spec{Sig: sig, Help: help}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[spec.Prefix()] = entry{spec: spec, fn: fn}
}

// RegisterForm adds another form of a command that is registered already, for those
// who ask how it may be given.
func (s *Server) RegisterForm(sig string) {
	spec := command.Spec{Sig: sig}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.handlers[spec.Prefix()]
	e.more = append(e.more, spec)
	s.handlers[spec.Prefix()] = e
}

// Specs returns the registered commands, sorted by prefix.
func (s *Server) Specs() []command.Spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []command.Spec
	for _, e := range s.handlers {
		out = append(append(out, e.spec), e.more...)
	}
	slices.SortStableFunc(out, func(a, b command.Spec) int { return strings.Compare(a.Prefix(), b.Prefix()) })
	return out
}

func (s *Server) help(command.Args) (any, error) {
	out := map[string]string{}
	for _, spec := range s.Specs() {
		if spec.Help != "" { // older forms of what is listed anyway
			out[spec.Prefix()] = spec.Help
		}
	}
	return out, nil
}

func (s *Server) descriptions(command.Args) (any, error) {
	return command.Descriptions(s.Specs()), nil
}

// Call carries out one command.
func (s *Server) Call(args command.Args) ([]byte, error) {
	s.mu.Lock()
	e, ok := s.handlers[args.Prefix()]
	s.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%w %q; \"help\" lists those there are", ErrUnknown, args.Prefix())
	}
	if err := e.check(args); err != nil {
		return nil, err
	}
	out, err := e.fn(args)
	if err != nil {
		return nil, err
	}
	return render(out, args.Format())
}

// check reports how a command departs from all of its forms.
func (e entry) check(args command.Args) error {
	err := e.spec.Check(args)
	for _, form := range e.more {
		if err == nil {
			return nil
		}
		err = form.Check(args)
	}
	return err
}

func render(out any, format string) ([]byte, error) {
	switch v := out.(type) {
	case nil:
		return nil, nil
	case []byte:
		return v, nil
	case json.RawMessage:
		return v, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // Ceph writes < and > as they are
	if format != "json" {
		e.SetIndent("", "    ")
	}
	if err := e.Encode(out); err != nil {
		return nil, err
	}
	if format == "json" {
		b.Truncate(b.Len() - 1)
	}
	return b.Bytes(), nil
}

// Listen starts answering at path. A socket left behind by a process that died is
// replaced; one that answers is an error.
func (s *Server) Listen(path string) error {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("admin socket %s: another daemon answers there; stop it first or set \"admin socket\"", path)
	}
	if len(path) > pathMax {
		return fmt.Errorf("admin socket %s: a socket's path has at most %d bytes; set \"admin socket\" to a shorter one", path, pathMax)
	}
	if st, err := os.Lstat(path); err == nil {
		if st.Mode().Type() != os.ModeSocket {
			return fmt.Errorf("admin socket %s: there is something else of that name; remove it or set \"admin socket\"", path)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("admin socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("admin socket: %w", err)
	}
	s.listener, s.closing = l, make(chan struct{})
	s.wg.Add(1)
	go s.serve(l)
	return nil
}

// Close stops answering and removes the socket.
func (s *Server) Close() {
	if s.listener != nil {
		close(s.closing)
		s.listener.Close() // also unlinks the path
		s.wg.Wait()
		s.listener = nil
	}
}

func (s *Server) serve(l net.Listener) {
	defer s.wg.Done()
	slots := make(chan struct{}, connectionsAtOnce)
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Warn("admin socket: accept", "error", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-s.closing:
			c.Close()
			return
		}
		go func() {
			defer func() { <-slots }()
			defer c.Close()
			if err := s.exchange(c); err != nil {
				s.log.Debug("admin socket", "error", err)
			}
		}()
	}
}

func (s *Server) exchange(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(commandTimeout)); err != nil {
		return err
	}
	line, err := readCommand(c)
	if err != nil {
		return err
	}
	answer, err := s.answer(line)
	if err != nil {
		answer = []byte("ERROR: " + err.Error() + "\n")
	}
	// The command may have taken its time; writing the answer gets its own.
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(answer)))
	_, err = c.Write(append(out, answer...))
	return err
}

func (s *Server) answer(line string) ([]byte, error) {
	if !strings.HasPrefix(line, "{") { // a bare command word
		return s.Call(command.Args{"prefix": line})
	}
	args, err := command.Parse([]string{line})
	if err != nil {
		return nil, err
	}
	return s.Call(args)
}

func readCommand(r io.Reader) (string, error) {
	var line []byte
	buf := make([]byte, 4096)
	for len(line) < commandBytesMax {
		n, err := r.Read(buf)
		line = append(line, buf[:n]...)
		if i := slices.IndexFunc(line, func(b byte) bool { return b == 0 || b == '\n' }); i >= 0 {
			return string(line[:i]), nil
		}
		if err != nil {
			return "", fmt.Errorf("reading command: %w", err)
		}
	}
	return "", fmt.Errorf("command longer than %d bytes", commandBytesMax)
}
