package filestore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sepiola/objectstore/filestore/vfs"
)

// Chained extended attributes (chain_xattr in Ceph): a value is cut into parts of
// at most attrPart bytes. The first is user.ceph.NAME, the others have @1, @2, ...
// appended; an @ of NAME itself is written @@, so that the two cannot be confused.
const (
	attrPart   = 2048
	attrPrefix = "user.ceph."
	longName   = "user.sepiola.name"
	attrMax    = 255 // bytes of an attribute's name (XATTR_NAME_MAX)
)

func attrParts(n int) int { return max(1, (n+attrPart-1)/attrPart) }

func attrName(name string, part int) string {
	s := attrPrefix + strings.ReplaceAll(name, "@", "@@")
	if part > 0 {
		s += "@" + strconv.Itoa(part)
	}
	return s
}

// parseAttrName undoes attrName. ok is false for what is none of ours.
func parseAttrName(s string) (name string, part int, ok bool) {
	s, ok = strings.CutPrefix(s, attrPrefix)
	if !ok {
		return "", 0, false
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '@' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '@' {
			b.WriteByte('@')
			i++
			continue
		}
		part, err := strconv.Atoi(s[i+1:])
		return b.String(), part, err == nil && part > 0
	}
	return b.String(), 0, true
}

// refused reports whether a file system will not hold an attribute that it might
// hold if it were smaller or had fewer neighbours.
func refused(err error) bool {
	for _, e := range []error{unix.ENOSPC, unix.E2BIG, unix.ERANGE, unix.EDQUOT, unix.ENAMETOOLONG} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// errRefused says that the attribute must go elsewhere; nothing of it is left.
var errRefused = errors.New("attribute does not fit")

// setChain writes an attribute as a chain. oldLen is the length of the value so
// far, -1 for none, unknownLen if not known. Parts the new value does not need go.
func setChain(d vfs.File, name string, value []byte, oldLen int) error {
	if len(attrName(name, attrParts(len(value))-1)) > attrMax {
		return errRefused
	}
	parts := attrParts(len(value))
	for i := range parts {
		part := value[i*attrPart : min(len(value), (i+1)*attrPart)]
		if err := d.SetAttr(attrName(name, i), part); err != nil {
			if !refused(err) {
				return fmt.Errorf("set attribute %q: %w", name, err)
			}
			if err := removeChain(d, name, 0, -1); err != nil {
				return err
			}
			return errRefused
		}
	}
	switch {
	case oldLen == unknownLen:
		return removeChain(d, name, parts, -1)
	case oldLen > attrPart:
		return removeChain(d, name, parts, attrParts(oldLen))
	}
	return nil
}

// removeChain removes the parts from first on, up to end, or where end < 0 all that
// there are. A crash can have taken any of them already.
func removeChain(d vfs.File, name string, first, end int) error {
	if end < 0 {
		list, err := d.ListAttrs()
		if err != nil {
			return fmt.Errorf("list attributes: %w", err)
		}
		for _, s := range list {
			if n, part, ok := parseAttrName(s); ok && n == name {
				end = max(end, part+1)
			}
		}
	}
	for i := first; i < end; i++ {
		err := d.RemoveAttr(attrName(name, i))
		if err != nil && !errors.Is(err, vfs.ErrNoAttr) {
			return fmt.Errorf("remove attribute %q: %w", name, err)
		}
	}
	return nil
}

// readChains returns all attributes of the file.
func readChains(d vfs.File) (map[string][]byte, error) {
	list, err := d.ListAttrs()
	if err != nil {
		return nil, fmt.Errorf("list attributes: %w", err)
	}
	parts := map[string]int{}
	for _, s := range list {
		if name, part, ok := parseAttrName(s); ok {
			parts[name] = max(parts[name], part+1)
		}
	}
	out := make(map[string][]byte, len(parts))
	for name, n := range parts {
		value := []byte{}
		for i := range n {
			p, err := d.GetAttr(attrName(name, i))
			if err != nil {
				return nil, fmt.Errorf("part %d of %d of attribute %q: %w", i, n, name, err)
			}
			value = append(value, p...)
		}
		out[name] = value
	}
	return out, nil
}
