package crush

import (
	"strconv"
	"strings"
)

// FormatResult prints a result as Ceph prints vectors: "[1,2,0]".
func FormatResult(items []int32) string {
	var out strings.Builder
	out.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(strconv.Itoa(int(item)))
	}
	out.WriteByte(']')
	return out.String()
}
