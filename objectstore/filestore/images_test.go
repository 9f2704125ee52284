package filestore

import (
	cmdline "flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sepiola/objectstore/storetest"
)

var images = cmdline.Bool("images", false, "run the suite on file systems in images, which takes root")

// The suite passes on every file system that OSDs are put on, each made for the test in
// an image and mounted. What the machine cannot make or mount is skipped, by name.
func TestSuiteOnImages(t *testing.T) {
	if !*images {
		t.Skip("wants -images, and root: mounts ext4, XFS and btrfs from images")
	}
	for _, fs := range []struct {
		name string
		mkfs []string
	}{
		{"ext4", []string{"mkfs.ext4", "-q", "-F"}},
		{"ext4 with small inodes", []string{"mkfs.ext4", "-q", "-F", "-I", "128"}},
		{"xfs", []string{"mkfs.xfs", "-q", "-f"}},
		{"btrfs", []string{"mkfs.btrfs", "-q", "-f"}},
	} {
		t.Run(fs.name, func(t *testing.T) {
			dir := mountImage(t, fs.mkfs)
			storetest.Suite(t, func(t storetest.T) storetest.Disk {
				d, err := os.MkdirTemp(dir, "store")
				if err != nil {
					t.Fatalf("%v", err)
				}
				return &dirDisk{t: t, dir: d}
			})
		})
	}
}

// mountImage makes a file system of 2 GiB, with holes, and mounts it until the test ends.
func mountImage(t *testing.T, mkfs []string) string {
	t.Helper()
	if _, err := exec.LookPath(mkfs[0]); err != nil {
		t.Skipf("%s is not installed", mkfs[0])
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 2<<30); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs[0], append(mkfs[1:], image)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("this machine does not mount it: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return dir
}
