package crush

import (
	"strings"
	"syscall"
)

// ValidName reports whether s may name an item, type, rule or class: letters,
// digits, '-', '_' and '.'. The '~' in the name of a shadow bucket is invalid on
// purpose, so that nobody else can take such a name.
func ValidName(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != ""
}

// ParseLocation reads "type=name" words, as `host=a root=default`.
func ParseLocation(words []string) (map[string]string, error) {
	loc := make(map[string]string, len(words))
	for _, w := range words {
		typ, name, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, errf(syscall.EINVAL, "location %q is not of the form type=name", w)
		}
		loc[typ] = name
	}
	return loc, nil
}

// keyOf returns the highest key with that name.
func keyOf(names map[int32]string, name string) (key int32, ok bool) {
	for k, n := range names {
		if n == name && (!ok || k > key) {
			key, ok = k, true
		}
	}
	return key, ok
}

// ItemName returns the name of a device or bucket, "" if it has none.
func (m *Map) ItemName(id int32) string { return m.ItemNames[id] }

// ItemID finds a device or bucket by name.
func (m *Map) ItemID(name string) (int32, bool) { return keyOf(m.ItemNames, name) }

// TypeName returns the name of a bucket type, "" if it has none.
func (m *Map) TypeName(t int32) string { return m.TypeNames[t] }

// TypeID finds a bucket type by name.
func (m *Map) TypeID(name string) (int32, bool) { return keyOf(m.TypeNames, name) }

// RuleName returns the name of a rule, "" if it has none.
func (m *Map) RuleName(id int) string { return m.RuleNames[int32(id)] }

// RuleID finds a rule by name.
func (m *Map) RuleID(name string) (int, bool) {
	id, ok := keyOf(m.RuleNames, name)
	return int(id), ok
}

// ClassID finds a device class by name.
func (m *Map) ClassID(name string) (int32, bool) { return keyOf(m.ClassNames, name) }

// ItemClass returns the name of the class of a device or shadow bucket, "" if
// it has none.
func (m *Map) ItemClass(id int32) string {
	if c, ok := m.ItemClasses[id]; ok {
		return m.ClassNames[c]
	}
	return ""
}

// IsShadow reports whether id is a bucket of a device class's shadow tree.
func (m *Map) IsShadow(id int32) bool {
	name, ok := m.ItemNames[id]
	return ok && !ValidName(name)
}

// SplitShadow returns the bucket that id is the shadow of and the class; id
// itself and class -1 for any other item. It is false if id has no name or its
// name leads nowhere.
func (m *Map) SplitShadow(id int32) (original, class int32, ok bool) {
	name, ok := m.ItemNames[id]
	if !ok {
		return 0, 0, false
	}
	base, className, shadow := strings.Cut(name, "~")
	if !shadow {
		return id, -1, true
	}
	original, ok = m.ItemID(base)
	if !ok {
		return 0, 0, false
	}
	class, ok = m.ClassID(className)
	return original, class, ok
}

// RenameBucket is `osd crush rename-bucket`. Where src is gone and dst there
// already the error is EALREADY, which the command takes for success.
func (m *Map) RenameBucket(src, dst string) error {
	id, haveSrc := m.ItemID(src)
	_, haveDst := m.ItemID(dst)
	switch {
	case !haveSrc && haveDst:
		return errf(syscall.EALREADY, "srcname = '%s' does not exist and dstname = '%s' already exists", src, dst)
	case !haveSrc:
		return errf(syscall.ENOENT, "srcname = '%s' does not exist", src)
	case haveDst:
		return errf(syscall.EEXIST, "dstname = '%s' already exists", dst)
	case !ValidName(dst):
		return errf(syscall.EINVAL, "dstname = '%s' does not match [-_.0-9a-zA-Z]+", dst)
	case id >= 0:
		return errf(syscall.ENOTDIR, "srcname = '%s' is not a bucket because its id = %d is >= 0", src, id)
	}
	m.ItemNames[id] = dst
	return nil
}

// RenameRule is `osd crush rule rename`.
func (m *Map) RenameRule(src, dst string) error {
	id, ok := m.RuleID(src)
	if !ok {
		return errf(syscall.ENOENT, "source rule name '%s' does not exist", src)
	}
	if _, ok := m.RuleID(dst); ok {
		return errf(syscall.EEXIST, "destination rule name '%s' already exists", dst)
	}
	m.RuleNames[int32(id)] = dst
	return nil
}
