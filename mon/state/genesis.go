package state

import (
	"errors"
	"fmt"
	"syscall"

	"sepiola/crush"
	"sepiola/osdmap"
)

// genesis makes the first state: epoch 1 of everything.
func (t *txn) genesis(c *Genesis) Reply {
	if t.s.OSD != nil {
		return Reply{}
	}
	mm, err := osdmap.DecodeMonMap(c.MonMap)
	if err != nil {
		return failed(syscall.EINVAL, "monitor map: %v", err)
	}
	cm, err := firstCrush(c.Settings)
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	t.s.FSID, t.s.MonMap = c.FSID, mm
	t.s.OSD = osdmap.New(c.FSID, 1, t.now, cm)
	t.s.FirstEpoch, t.s.LastEpoch = 1, 1
	t.put(keyGenesis, c.FSID[:])
	t.put(keyMonMap, c.MonMap)
	t.put(FullKey(1), t.s.OSD.Encode(0))
	t.putSpan()
	return Reply{}
}

// firstCrush is the CRUSH map of a cluster without OSDs: the root, and a rule
// that spreads copies over buckets of type osd_crush_chooseleaf_type.
func firstCrush(s Settings) (*crush.Map, error) {
	cm := crush.NewDefault()
	kind, ok := cm.TypeNames[int32(s.ChooseleafType)]
	if !ok {
		return nil, fmt.Errorf("osd_crush_chooseleaf_type %d is no bucket type", s.ChooseleafType)
	}
	const name = "replicated_rule"
	if kind == "host" {
		if _, ok := cm.RuleID(name); ok {
			return cm, nil
		}
	}
	if id, ok := cm.RuleID(name); ok {
		if err := cm.RemoveRule(id); err != nil {
			return nil, err
		}
	}
	_, err := cm.AddSimpleRule(name, "default", kind, "", "firstn", crush.RuleReplicated)
	return cm, err
}

// errnoError is an error with the errno a client gets.
type errnoError struct {
	code syscall.Errno
	text string
}

func (e errnoError) Error() string { return e.text }
func (e errnoError) Unwrap() error { return e.code }

func notFound(format string, args ...any) error {
	return errnoError{syscall.ENOENT, fmt.Sprintf(format, args...)}
}

func asErrno(err error) (syscall.Errno, bool) {
	var code syscall.Errno
	ok := errors.As(err, &code)
	return code, ok
}
