package filestore

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sepiola/objectstore/filestore/vfs"
)

// attrFindings says what is wrong with a file's attributes: parts that are missing or
// cannot be read, parts left of a longer value, and attributes that are in the
// key-value store too.
func attrFindings(f vfs.File, spilled map[string]bool) []string {
	list, err := f.ListAttrs()
	if err != nil {
		return []string{fmt.Sprintf("its attributes cannot be listed: %v", err)}
	}
	var out []string
	parts := map[string]map[int]int{} // lengths
	for _, s := range list {
		name, part, ok := parseAttrName(s)
		if !ok {
			if strings.HasPrefix(s, attrPrefix) {
				out = append(out, fmt.Sprintf("extended attribute %q is none of the store's", s))
			}
			continue
		}
		v, err := f.GetAttr(s)
		if err != nil {
			out = append(out, fmt.Sprintf("part %d of attribute %q: %v", part, name, err))
			continue
		}
		if parts[name] == nil {
			parts[name] = map[int]int{}
		}
		parts[name][part] = len(v)
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if what := chainFinding(parts[name]); what != "" {
			out = append(out, fmt.Sprintf("attribute %q: %s", name, what))
		}
		if spilled[name] {
			out = append(out, fmt.Sprintf("attribute %q is in the file and in the key-value store", name))
		}
	}
	return out
}

// chainFinding says what is wrong with a chain of these lengths: all parts but the last
// are full, and the last is empty only if it is the only one.
func chainFinding(lengths map[int]int) string {
	last := slices.Max(slices.Collect(maps.Keys(lengths)))
	for i := range last + 1 {
		n, ok := lengths[i]
		switch {
		case !ok:
			return fmt.Sprintf("part %d of %d is missing", i, last+1)
		case i < last && n != attrPart:
			return fmt.Sprintf("part %d has %d bytes and yet part %d follows: the latter is left of an older value", i, n, i+1)
		case i == last && i > 0 && n == 0:
			return fmt.Sprintf("part %d is empty", i)
		case n > attrPart:
			return fmt.Sprintf("part %d has %d bytes, more than a part can have", i, n)
		}
	}
	return ""
}
