package state

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sepiola/entity"
)

// parseOSD reads "osd.3" or "3" (CephOsdName).
func parseOSD(s string) (int32, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(s, "osd."), 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("unable to parse osd id value \"%s\"", s)
	}
	if n >= maxOSDs {
		return 0, fmt.Errorf("osd id %d is too large: at most %d OSDs are supported", n, maxOSDs)
	}
	return int32(n), nil
}

func parseUUID(s string) (entity.UUID, error) {
	u, err := entity.ParseUUID(s)
	if err != nil {
		return u, fmt.Errorf("invalid uuid value '%s'", s)
	}
	return u, nil
}

func sortAddrs(v []entity.Addr) {
	slices.SortFunc(v, entity.Addr.Compare)
}

// parseLocation reads "root=default", "host=x" (CrushWrapper::parse_loc_map).
func parseLocation(args []string) (map[string]string, error) {
	loc := map[string]string{}
	for _, a := range args {
		kind, name, ok := strings.Cut(a, "=")
		if !ok || kind == "" || name == "" {
			return nil, fmt.Errorf("expected key=value, not '%s'", a)
		}
		loc[kind] = name
	}
	return loc, nil
}

// locationString is how Ceph prints a location: {host=x,root=default}.
func locationString(loc map[string]string) string {
	parts := make([]string, 0, len(loc))
	for k, v := range loc {
		parts = append(parts, k+"="+v)
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ",") + "}"
}
