package badinput

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sepiola/internal/clustertest"
	"sepiola/mon/store"
)

// nobody is a user without rights, for tests that root runs.
const nobody = 65534

// site is a directory with a configuration, a monitor's and an OSD's data.
type site struct {
	t    testing.TB
	dir  string
	bin  string
	port int // of the monitor
}

const (
	siteFSID  = "11111111-2222-3333-4444-555555555555"
	otherFSID = "99999999-2222-3333-4444-555555555555"
)

// newSite makes the data of mon.a and osd.0. Its directory can be read by everybody.
func newSite(t testing.TB) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "sepiola")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{t: t, dir: dir, bin: dir, port: freePort(t)}
	must(t, os.Chmod(dir, 0o755))
	for _, prog := range []string{"osd", "mon"} {
		b, err := os.ReadFile(filepath.Join(clustertest.Bin(t), prog))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, prog), b, 0o755))
	}
	s.configure("")
	s.make("mon", "-i", "a", "--mkfs")
	s.make("osd", "-i", "0", "--mkfs")
	return s
}

func (s *site) conf() string { return filepath.Join(s.dir, "ceph.conf") }

// configure writes ceph.conf with extra lines at its end.
func (s *site) configure(extra string) {
	s.t.Helper()
	text := fmt.Sprintf(`[global]
fsid = %s
mon host = v2:127.0.0.1:%d
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd data = %[3]s/osd.$id
osd journal size = 64
mon data = %[3]s/mon.$id
admin socket =
log file =
pid file = %[3]s/$name.pid
%s
`, siteFSID, s.port, s.dir, extra)
	must(s.t, os.WriteFile(s.conf(), []byte(text), 0o644))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *site) command(ctx context.Context, prog string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(s.bin, prog), append([]string{"-c", s.conf()}, args...)...)
}

// make runs a program that has to succeed.
func (s *site) make(prog string, args ...string) {
	s.t.Helper()
	if out, err := s.command(context.Background(), prog, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %v: %v\n%s", prog, args, err, out)
	}
}

// refused runs a program that has to refuse, in one line that says all of want.
func (s *site) refused(prog string, args []string, want ...string) {
	s.t.Helper()
	s.refusedCmd(func(ctx context.Context) *exec.Cmd { return s.command(ctx, prog, args...) }, want...)
}

func (s *site) refusedCmd(command func(context.Context) *exec.Cmd, want ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := command(ctx)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		s.t.Fatalf("%v did not stop: %s", cmd.Args, out.String())
	}
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
		s.t.Errorf("%v: %v, want exit status 1", cmd.Args, err)
	}
	line := strings.TrimSpace(out.String())
	if line == "" || strings.Count(line, "\n") > 0 {
		s.t.Errorf("%v said in more or less than a line:\n%s", cmd.Args, line)
	}
	for _, w := range want {
		if !strings.Contains(line, w) {
			s.t.Errorf("%v said %q, which lacks %q", cmd.Args, line, w)
		}
	}
}

// running starts a daemon and waits until it serves. It ends with the test.
func (s *site) running(prog, id string) {
	s.t.Helper()
	cmd := s.command(context.Background(), prog, "-i", id)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(s.t, cmd.Start())
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	for pid := filepath.Join(s.dir, prog+"."+id+".pid"); ; {
		if _, err := os.Stat(pid); err == nil {
			return
		}
		select {
		case <-exited:
			s.t.Fatalf("%s stopped: %s", prog, out.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// occupy listens on n ports in a row and returns the first.
func occupy(t testing.TB, n int) int {
	t.Helper()
next:
	for first := 20000 + os.Getpid()%20000; first < 60000; first += 7 {
		var held []net.Listener
		for p := first; p < first+n; p++ {
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(p))
			if err != nil {
				for _, h := range held {
					h.Close()
				}
				continue next
			}
			held = append(held, l)
		}
		t.Cleanup(func() {
			for _, h := range held {
				h.Close()
			}
		})
		return first
	}
	t.Fatal("no ports are free")
	return 0
}

// What is taken already is not shared: ports, and data that another process uses.
func TestRefuseWhatIsTaken(t *testing.T) {
	t.Run("mon port", func(t *testing.T) {
		s := newSite(t)
		s.t = t
		s.port = occupy(t, 1)
		s.configure("")
		must(t, os.RemoveAll(filepath.Join(s.dir, "mon.a")))
		s.make("mon", "-i", "a", "--mkfs")
		s.refused("mon", []string{"-i", "a"}, "address already in use", strconv.Itoa(s.port), "stop what uses the port", "mon host")
	})
	t.Run("osd ports", func(t *testing.T) {
		s := newSite(t)
		first := occupy(t, 3)
		s.refused("osd", []string{"-i", "0", "--ms-bind-port-min", strconv.Itoa(first), "--ms-bind-port-max", strconv.Itoa(first + 2)},
			"address already in use", "stop what uses the ports", "ms bind port min")
	})
	t.Run("too few osd ports", func(t *testing.T) {
		s := newSite(t)
		first := freePort(t)
		s.refused("osd", []string{"-i", "0", "--ms-bind-port-min", strconv.Itoa(first), "--ms-bind-port-max", strconv.Itoa(first)},
			"address already in use", "ms bind port min")
	})
	t.Run("mon data", func(t *testing.T) {
		s := newSite(t)
		s.running("mon", "a")
		s.refused("mon", []string{"-i", "a"}, "in use by another process", "stop the monitor that runs on it")
	})
	t.Run("osd data", func(t *testing.T) {
		s := newSite(t)
		s.running("osd", "0")
		s.refused("osd", []string{"-i", "0"}, "another process runs on this directory", "stop it first")
	})
	t.Run("memstore's data", func(t *testing.T) {
		s := newSite(t)
		s.configure("osd objectstore = memstore")
		s.make("osd", "-i", "5", "--mkfs")
		s.running("osd", "5")
		s.refused("osd", []string{"-i", "5"}, "another process runs on this directory", "stop it first")
	})
	t.Run("admin socket", func(t *testing.T) {
		s := newSite(t)
		file := filepath.Join(s.dir, "precious")
		must(t, os.WriteFile(file, []byte("x"), 0o644))
		s.refused("osd", []string{"-i", "0", "--admin-socket", file}, "something else of that name", "admin socket")
		if b, err := os.ReadFile(file); err != nil || string(b) != "x" {
			t.Errorf("the file in the socket's place: %q, %v", b, err)
		}
		s.refused("osd", []string{"-i", "0", "--admin-socket", "/tmp/" + strings.Repeat("x", 120)}, "at most 107 bytes", "shorter")
	})
}

// Data that is not this daemon's, or of no daemon, is left alone.
func TestRefuseWrongData(t *testing.T) {
	s := newSite(t)
	data := func(name string) string { return filepath.Join(s.dir, name) }
	for _, c := range []struct {
		name string
		prog string
		args []string
		want []string
	}{
		{"osd missing", "osd", []string{"-i", "7"}, []string{data("osd.7"), "run mkfs first"}},
		{"mon missing", "mon", []string{"-i", "b"}, []string{data("mon.b"), "make one with --mkfs"}},
		{"another osd's", "osd", []string{"-i", "1", "--osd-data", data("osd.0")}, []string{"belongs to osd.0, not to osd.1", `check "osd data"`}},
		{"another mon's", "mon", []string{"-i", "b", "--mon-data", data("mon.a")}, []string{"belongs to mon.a, not mon.b", "mon data"}},
		{"osd of another cluster", "osd", []string{"-i", "0", "--fsid", otherFSID}, []string{siteFSID, otherFSID, `check "fsid"`}},
		{"mon of another cluster", "mon", []string{"-i", "a", "--fsid", otherFSID}, []string{siteFSID, otherFSID, "correct 'fsid'"}},
		{"osd made twice", "osd", []string{"-i", "0", "--mkfs", "--osd-uuid", otherFSID}, []string{"holds the data of osd.0", "remove the directory"}},
		{"mon made twice", "mon", []string{"-i", "a", "--mkfs"}, []string{"holds a monitor already", "remove the directory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.refused(c.prog, c.args, c.want...)
		})
	}
}

// A directory that may not be written to is named, with what to do.
func TestRefuseUnwritable(t *testing.T) {
	s := newSite(t)
	as := func(prog string, args ...string) func(context.Context) *exec.Cmd {
		return func(ctx context.Context) *exec.Cmd {
			cmd := s.command(ctx, prog, append(args, "--pid-file", "")...)
			if os.Getuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			}
			return cmd
		}
	}
	if os.Getuid() != 0 {
		must(t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o555)
			}
			return err
		}))
		t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", s.dir).Run() })
	}
	s.refusedCmd(as("osd", "-i", "0"), "permission denied", s.dir)
	s.refusedCmd(as("osd", "-i", "3", "--mkfs"), "permission denied", "give this user the right to write there")
	s.refusedCmd(as("mon", "-i", "a"), "permission denied", "give this user write permission")
	s.refusedCmd(as("mon", "-i", "c", "--mkfs", "--mon-host", "v2:127.0.0.1:1"), "permission denied", s.dir)
	s.refusedCmd(as("osd", "-i", "0", "--log-file", filepath.Join(s.dir, "log")), "permission denied", `option "log file"`)
}

// A file system without user attributes cannot hold a filestore.
func TestRefuseWithoutAttributes(t *testing.T) {
	s := newSite(t)
	ram := filepath.Join(s.dir, "ram")
	must(t, os.Mkdir(ram, 0o777))
	mount := fmt.Sprintf("mount -t ramfs none %q", ram)
	// ramfs has none. The mount is seen in its own name space only, and goes with it.
	flags := []string{"-Urm"}
	if os.Getuid() == 0 {
		flags = []string{"-m"}
	}
	if out, err := exec.Command("unshare", append(flags, "sh", "-c", mount)...).CombinedOutput(); err != nil {
		t.Skipf("no name space with a mount of its own to be had: %v %s", err, out)
	}
	s.refusedCmd(func(ctx context.Context) *exec.Cmd {
		script := fmt.Sprintf("%s && exec %q -c %q -i 4 --mkfs --osd-data %q", mount, filepath.Join(s.bin, "osd"), s.conf(), filepath.Join(ram, "data"))
		return exec.CommandContext(ctx, "unshare", append(flags, "sh", "-c", script)...)
	}, "keeps no user attributes", "ext4, XFS or btrfs")
}

// Damage is noticed before anything is served from it.
func TestRefuseDamaged(t *testing.T) {
	damage := func(name string, at int64, with string) func(*site) {
		return func(s *site) {
			matches, err := filepath.Glob(filepath.Join(s.dir, name))
			must(s.t, err)
			if len(matches) == 0 {
				s.t.Fatalf("no %s", name)
			}
			for _, m := range matches {
				f, err := os.OpenFile(m, os.O_WRONLY, 0)
				must(s.t, err)
				_, err = f.WriteAt([]byte(with), at)
				must(s.t, err)
				must(s.t, f.Close())
			}
		}
	}
	for _, c := range []struct {
		name   string
		prog   string
		id     string
		damage func(*site)
		want   []string
	}{
		{"superblock", "osd", "0", damage("osd.0/current/meta/osd*superblock*", 20, "garbage"), []string{"superblock", "make the OSD anew"}},
		{"whoami", "osd", "0", damage("osd.0/whoami", 0, "x"), []string{"whoami", "damaged", "make it anew"}},
		{"newer store", "osd", "0", damage("osd.0/store_version", 0, "9"), []string{"version 9", "use the newer program"}},
		{"journal", "osd", "0", damage("osd.0/journal", 0, strings.Repeat("garbage!", 1024)), []string{"journal", "damaged"}},
		{"journal gone", "osd", "0", func(s *site) { must(s.t, os.Remove(filepath.Join(s.dir, "osd.0/journal"))) }, []string{"journal"}},
		{"omap gone", "osd", "0", func(s *site) { must(s.t, os.RemoveAll(filepath.Join(s.dir, "osd.0/omap"))) }, []string{"key-value store", "make the store anew"}},
		{"mon database", "mon", "a", damage("mon.a/store.db/MANIFEST*", 0, "garbage"), []string{"database", "damaged"}},
		{"newer mon", "mon", "a", func(s *site) { monMeta(s, "version", "2") }, []string{"version 2", "run the newer program"}},
		{"mon half made", "mon", "a", func(s *site) { monMeta(s, "fsid", "") }, []string{"holds no finished monitor", "--mkfs"}},
		{"monitor map", "mon", "a", func(s *site) { monMeta(s, "monmap", "garbage") }, []string{"monitor map"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			c.damage(s)
			s.refused(c.prog, []string{"-i", c.id}, c.want...)
		})
	}
}

func monMeta(s *site, name, value string) {
	s.t.Helper()
	disk, err := store.OpenDisk(filepath.Join(s.dir, "mon.a"), false)
	must(s.t, err)
	must(s.t, disk.SetMeta(map[string][]byte{name: []byte(value)}))
	must(s.t, disk.Close())
}

// Configurations and command lines with mistakes are refused as a whole, by name and
// place, rather than half obeyed.
func TestRefuseConfiguration(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		name, conf string
		want       []string
	}{
		{"section", "[osd", []string{"ceph.conf", "line 15", "section without ]"}},
		{"line", "osd max object size", []string{"ceph.conf", "line 15", "neither [section] nor name = value"}},
		{"binary", "\x00\xff\x01", []string{"ceph.conf", "line 15"}},
		{"choice", "osd objectstore = floppy", []string{"line 15", "osd_objectstore", "filestore, memstore"}},
		{"number", "ms bind port min = many", []string{"line 15", "ms_bind_port_min", "not an integer"}},
		{"range", "ms bind port min = 70000", []string{"line 15", "ms_bind_port_min", "65535"}},
		{"size", "osd client message size cap = huge", []string{"line 15", "not a size"}},
		{"truth", "log to stderr = maybe", []string{"line 15", "log_to_stderr"}},
		{"uuid", "osd uuid = 12", []string{"line 15", "osd_uuid"}},
		{"address", "public addr = nowhere", []string{"line 15", "public_addr"}},
		{"store", "osd objectstore = bluestore", []string{"filestore and memstore"}},
		{"authentication", "auth cluster required = cephx", []string{"auth_cluster_required", `"none"`}},
		{"monitors", "mon host = :::", []string{"mon host"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.configure(c.conf)
			defer s.configure("")
			args := []string{"-i", "0"}
			if c.name == "store" {
				args = []string{"-i", "9", "--mkfs"}
			}
			s.refused("osd", args, c.want...)
		})
	}
	for _, c := range []struct {
		prog string
		args []string
		want []string
	}{
		{"osd", nil, []string{"give its id with -i"}},
		{"osd", []string{"-i"}, []string{"-i needs a value"}},
		{"osd", []string{"-i", "zero"}, []string{"not an OSD's number", "-i"}},
		{"osd", []string{"-i", "-1"}, []string{"not an OSD's number"}},
		{"osd", []string{"-n", "mon.0"}, []string{"this program serves osd.ID"}},
		{"osd", []string{"-i", "0", "--colour", "red"}, []string{"--colour", "-h lists the flags"}},
		{"osd", []string{"-i", "0", "now"}, []string{`"now"`, "-h lists the flags"}},
		{"osd", []string{"-i", "0", "--debug-osd", "loud"}, []string{"debug_osd", "debug level"}},
		{"osd", []string{"-i", "0", "--ms-bind-port-min"}, []string{"needs a value"}},
		{"osd", []string{"-i", "0", "-c", "/nonexistent"}, []string{"/nonexistent", "-c"}},
		{"mon", []string{"-i", "b", "--mkfs", "--mon-host", "v2:127.0.0.1:1,v2:127.0.0.1:2"}, []string{"2 monitors", "--monmap"}},
		{"mon", []string{"-i", "b", "--mkfs", "--monmap", "/nonexistent"}, []string{"/nonexistent"}},
		{"mon", []string{"-i", "b", "--mkfs", "--monmap", "/etc/passwd"}, []string{"/etc/passwd"}},
	} {
		t.Run(c.prog+" "+strings.Join(c.args, " "), func(t *testing.T) {
			s.t = t
			s.refused(c.prog, c.args, c.want...)
		})
	}
}
