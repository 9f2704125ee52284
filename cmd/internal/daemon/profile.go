package daemon

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"

	"sepiola/adminsocket"
	"sepiola/command"
)

// profileMax bounds the length of a profile.
const profileMax = 25 * time.Second

// registerProfiles adds commands that write profiles for "go tool pprof", and those
// of Ceph's "heap" that make sense here.
func registerProfiles(a *adminsocket.Server) {
	var busy sync.Mutex
	a.Register("cpu_profiler name=seconds,type=CephInt,range=1|25 name=file,type=CephString", "write a CPU profile of so many seconds to a file",
		func(args command.Args) (any, error) {
			n, err := args.Int("seconds", 0)
			if err != nil || n < 1 || time.Duration(n)*time.Second > profileMax {
				return nil, fmt.Errorf("(22) Invalid argument: seconds must be 1 to %d", profileMax/time.Second)
			}
			if !busy.TryLock() {
				return nil, errors.New("(16) Device or resource busy: a profile is being taken")
			}
			defer busy.Unlock()
			return profileTo(args.String("file"), func(f *os.File) error {
				if err := pprof.StartCPUProfile(f); err != nil {
					return err
				}
				time.Sleep(time.Duration(n) * time.Second)
				pprof.StopCPUProfile()
				return nil
			})
		})
	a.Register("heap stats", "show how much memory is in use", func(command.Args) (any, error) { return memory(), nil })
	a.Register("heap release", "collect garbage and give memory back to the system", func(command.Args) (any, error) {
		debug.FreeOSMemory()
		return memory(), nil
	})
	a.Register("heap dump name=file,type=CephString", "write a profile of the memory in use to a file",
		func(args command.Args) (any, error) {
			return profileTo(args.String("file"), func(f *os.File) error { return pprof.Lookup("heap").WriteTo(f, 0) })
		})
}

// memory describes the process's memory, in bytes, and its goroutines.
func memory() any {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return struct {
		HeapAlloc  uint64 `json:"heap_alloc"`
		HeapInUse  uint64 `json:"heap_inuse"`
		Sys        uint64 `json:"sys"`
		Released   uint64 `json:"released"`
		Goroutines int    `json:"goroutines"`
	}{m.HeapAlloc, m.HeapInuse, m.Sys, m.HeapReleased, runtime.NumGoroutine()}
}

func profileTo(path string, write func(*os.File) error) (any, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return map[string]string{"written": path}, nil
}
