package main

import (
	"fmt"

	"sepiola/object"

	"github.com/schollz/progressbar/v3"
)

// progress tells of the objects of an export or import: on a terminal by a bar, and
// elsewhere by a line for each, as Ceph's tool does.
type progress struct {
	t   *tool
	bar *progressbar.ProgressBar
}

// newProgress begins to tell of so many objects; 0 if that is not known.
func (t *tool) newProgress(what string, objects int64) *progress {
	p := &progress{t: t}
	if isTerminal(t.stderr) && !t.debug {
		if objects <= 0 {
			objects = -1
		}
		p.bar = progressbar.NewOptions64(objects, progressbar.OptionSetWriter(t.stderr), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetDescription(what), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
			progressbar.OptionSetItsString("objects"), progressbar.OptionShowIts())
	}
	return p
}

// object tells of one object. Ceph prints what it reads to standard error and what it
// writes to standard output.
func (p *progress) object(verb string, g object.GID, size uint64) {
	switch {
	case p.bar != nil:
		p.bar.Add(1)
	case verb == "Read":
		p.t.complain("%s %v", verb, g)
		p.t.debugf("size=%d", size)
	default:
		fmt.Fprintf(p.t.out, "%s %v\n", verb, g)
	}
}

// done takes the bar away.
func (p *progress) done() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
