package texttable

import "testing"

// Columns grow with their cells, and every alignment pads where Ceph does.
func TestTable(t *testing.T) {
	var tab Table
	tab.Column("ID", Left, Right)
	tab.Column("NAME", Left, Left)
	tab.Column("X", Center, Center)
	tab.Row("-1", "root default", "abc")
	tab.Row("-2")
	tab.Row("0", "osd.0", "a", "dropped")
	const want = "ID  NAME           X \n" +
		"-1  root default  abc\n" +
		"-2                   \n" +
		" 0  osd.0          a \n"
	if got := tab.String(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
