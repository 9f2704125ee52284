package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoAttr says that a file has no such extended attribute.
var ErrNoAttr error = unix.ENODATA

// ErrLocked says that another holds the lock.
var ErrLocked = errors.New("locked by another process")

// OS is the machine's file system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Open(path string, flags Flags) (File, error) {
	mode := unix.O_RDWR | unix.O_CLOEXEC | unix.O_NOATIME
	if flags&Create != 0 {
		mode |= unix.O_CREAT
	}
	if flags&Exclusive != 0 {
		mode |= unix.O_EXCL
	}
	if flags&Direct != 0 {
		mode |= unix.O_DIRECT
	}
	fd, err := retryFD(func() (int, error) { return unix.Open(path, mode, 0o644) })
	if errors.Is(err, unix.EPERM) { // O_NOATIME wants the file's owner
		fd, err = retryFD(func() (int, error) { return unix.Open(path, mode&^unix.O_NOATIME, 0o644) })
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return osFile(fd), nil
}

func retryFD(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return n, err
		}
	}
}

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func (osFS) Mkdir(path string) error { return os.Mkdir(path, 0o755) }

func (osFS) Rename(from, to string) error {
	if err := retry(func() error { return unix.Rename(from, to) }); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (osFS) Remove(path string) error {
	err := retry(func() error { return unix.Unlink(path) })
	if err == unix.EISDIR || err == unix.EPERM {
		err = retry(func() error { return unix.Rmdir(path) })
	}
	if err != nil {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

func (osFS) ReadDir(path string) ([]os.DirEntry, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}

func (osFS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (osFS) SyncFS(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: path, Err: err}
	}
	return nil
}

// Spread sets ext4's "top of a directory hierarchy" flag. Without it new directories
// share the block groups of their neighbours, and there the allocator of inodes steps
// one by one over all that were freed within the last minute or five
// (recently_deleted in fs/ext4/ialloc.c): after many removals, 100 us and more for each
// new file.
func (osFS) Spread(path string) {
	d, err := os.Open(path)
	if err != nil {
		return
	}
	defer d.Close()
	flags, err := unix.IoctlGetInt(int(d.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		_ = unix.IoctlSetPointerInt(int(d.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
}

const topDir = 0x20000 // FS_TOPDIR_FL

func (osFS) Statfs(path string) (Statfs, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &st) }); err != nil {
		return Statfs{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	unit := uint64(st.Bsize)
	return Statfs{Total: st.Blocks * unit, Free: st.Bfree * unit, Available: st.Bavail * unit}, nil
}

func (osFS) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, ErrLocked
		}
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}

// osFile is a file descriptor without the poller and locks of os.File, which
// regular files have no use for.
type osFile int

func (f osFile) Close() error { return unix.Close(int(f)) }

func (f osFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(int(f), p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, err
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

func (f osFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(int(f), p[done:], off+int64(done))
		if err != nil && err != unix.EINTR {
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}

// iovMax is the most segments one pwritev takes (IOV_MAX).
const iovMax = 1024

func (f osFile) WriteV(segments [][]byte, off int64) error {
	if len(segments) == 1 {
		_, err := f.WriteAt(segments[0], off)
		return err
	}
	for len(segments) > 0 {
		n, err := unix.Pwritev(int(f), segments[:min(len(segments), iovMax)], off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		off += int64(n)
		for len(segments) > 0 && n >= len(segments[0]) {
			n -= len(segments[0])
			segments = segments[1:]
		}
		if n > 0 { // cut off within a segment
			if _, err := f.WriteAt(segments[0][n:], off); err != nil {
				return err
			}
			off += int64(len(segments[0]) - n)
			segments = segments[1:]
		}
	}
	return nil
}

func (f osFile) Size() (int64, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(f), &st) }); err != nil {
		return 0, err
	}
	return st.Size, nil
}

func (f osFile) Truncate(size int64) error {
	return retry(func() error { return unix.Ftruncate(int(f), size) })
}

var zeros [256 << 10]byte

func (f osFile) Punch(off, n int64) error {
	err := retry(func() error {
		return unix.Fallocate(int(f), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
	if err != unix.EOPNOTSUPP {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	for end := min(off+n, size); off < end; {
		k := min(end-off, int64(len(zeros)))
		if _, err := f.WriteAt(zeros[:k], off); err != nil {
			return err
		}
		off += k
	}
	return nil
}

func (f osFile) SyncData() error { return retry(func() error { return unix.Fdatasync(int(f)) }) }

func (f osFile) NextData(off int64) (int64, int64, error) {
	from, err := unix.Seek(int(f), off, unix.SEEK_DATA)
	if err == unix.ENXIO {
		return 0, 0, io.EOF
	}
	if err != nil {
		return 0, 0, err
	}
	to, err := unix.Seek(int(f), from, unix.SEEK_HOLE)
	return from, to, err
}

func (f osFile) Reserve(n int64) {
	// Advice: a failure changes nothing.
	_ = unix.Fallocate(int(f), unix.FALLOC_FL_KEEP_SIZE, 0, n)
}

func (f osFile) ReadAhead(off, n int64) {
	// Advice: a failure changes nothing.
	_ = unix.Fadvise(int(f), off, n, unix.FADV_WILLNEED)
}

func (f osFile) GetAttr(name string) ([]byte, error) {
	// One call nearly always: the parts the store writes have at most 2048 bytes.
	buf := make([]byte, 2048)
	for {
		n, err := unix.Fgetxattr(int(f), name, buf)
		switch err {
		case nil:
			return buf[:n:n], nil
		case unix.EINTR:
		case unix.ERANGE:
			buf = make([]byte, 64<<10)
		default:
			return nil, err
		}
	}
}

func (f osFile) SetAttr(name string, value []byte) error {
	return retry(func() error { return unix.Fsetxattr(int(f), name, value, 0) })
}

func (f osFile) RemoveAttr(name string) error {
	return retry(func() error { return unix.Fremovexattr(int(f), name) })
}

func (f osFile) ListAttrs() ([]string, error) {
	buf := make([]byte, 1024)
	for {
		n, err := unix.Flistxattr(int(f), buf)
		switch err {
		case nil:
			if n == 0 {
				return nil, nil
			}
			return strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00"), nil
		case unix.EINTR:
		case unix.ERANGE:
			if len(buf) > 64<<10 {
				return nil, fmt.Errorf("attribute list of more than %d bytes: %w", len(buf), err)
			}
			buf = make([]byte, 4*len(buf))
		default:
			return nil, err
		}
	}
}
