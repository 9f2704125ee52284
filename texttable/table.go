// Package texttable prints rows of text in aligned columns, as Ceph's TextTable
// does for `ceph osd tree`, `ceph df` and others (src/common/TextTable.{h,cc} in
// Ceph 16): columns as wide as their widest cell, two spaces between them, and
// padding after the last one too.
package texttable

import "strings"

// Align says on which side of its column a text stands.
type Align int

// The alignments.
const (
	Left Align = iota
	Center
	Right
)

type column struct {
	head          string
	width         int
	headAlign     Align
	contentsAlign Align
}

// Table collects rows. The zero value has no columns.
type Table struct {
	cols []column
	rows [][]string
}

// Column adds a column with a heading.
func (t *Table) Column(head string, headAlign, contentsAlign Align) {
	t.cols = append(t.cols, column{head, len(head), headAlign, contentsAlign})
}

// Row adds a row. Cells that are missing are blank, those beyond the columns are
// dropped.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(t.cols))
	copy(row, cells)
	for i, c := range row {
		t.cols[i].width = max(t.cols[i].width, len(c))
	}
	t.rows = append(t.rows, row)
}

// String returns the heading and all rows, each ended by a line break.
func (t *Table) String() string {
	var b strings.Builder
	for i, c := range t.cols {
		writeCell(&b, i, c.head, c.width, c.headAlign)
	}
	b.WriteByte('\n')
	for _, row := range t.rows {
		for i, cell := range row {
			writeCell(&b, i, cell, t.cols[i].width, t.cols[i].contentsAlign)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func writeCell(b *strings.Builder, i int, s string, width int, a Align) {
	if i > 0 {
		b.WriteString("  ")
	}
	before := 0
	switch a {
	case Center:
		before = width/2 - len(s)/2
	case Right:
		before = width - len(s)
	}
	b.WriteString(strings.Repeat(" ", before))
	b.WriteString(s)
	b.WriteString(strings.Repeat(" ", width-before-len(s)))
}
