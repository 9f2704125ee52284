package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// omapPage is how many keys are read at once (MAX_OMAP_BYTES_PER_REQUEST).
const omapPage = 1024

// omapKey returns the key that an omap command is about and what follows it.
func (t *tool) omapKey(args []string) (key, pretty string, rest []string, err error) {
	if t.o.omapKeyFile != nil {
		return t.key, t.keyPretty, args[1:], nil
	}
	if len(args) < 2 {
		return "", "", nil, errUsage
	}
	return args[1], args[1], args[2:], nil
}

func (t *tool) setomapval(args []string) error {
	key, pretty, rest, err := t.omapKey(args)
	if err != nil {
		return err
	}
	if len(rest) > 1 {
		return errUsage
	}
	value, err := t.value(rest, 0)
	if err != nil {
		return err
	}
	err = t.io.OmapSet(t.ctx, args[0], map[string][]byte{key: value})
	return t.report(err, "error setting omap value %s/%s", t.place(args[0]), pretty)
}

func (t *tool) getomapval(args []string) error {
	key, pretty, rest, err := t.omapKey(args)
	if err != nil {
		return err
	}
	if len(rest) > 1 {
		return errUsage
	}
	values, err := t.io.OmapValsByKeys(t.ctx, args[0], key)
	if err != nil {
		return t.report(err, "error getting omap value %s/%s", t.place(args[0]), pretty)
	}
	value, ok := values[key]
	if !ok {
		fmt.Fprintf(t.stdout, "No such key: %s/%s\n", t.place(args[0]), pretty)
		return errFailed
	}
	return t.show("value", value, rest)
}

// show prints bytes, or writes them to a file if one is named.
func (t *tool) show(what string, p []byte, file []string) error {
	if len(file) == 0 || file[0] == "" {
		fmt.Fprintf(t.stdout, "%s (%d bytes) :\n", what, len(p))
		hexdump(t.stdout, p)
		fmt.Fprintln(t.stdout)
		return nil
	}
	fmt.Fprintf(t.stderr, "Writing to %s\n", file[0])
	if file[0] == "-" {
		_, err := t.stdout.Write(p)
		return err
	}
	if err := os.WriteFile(file[0], p, 0o644); err != nil {
		return t.fail("failed to open file: %s", errText(err))
	}
	return nil
}

func (t *tool) listomapkeys(args []string) error {
	for after, more := "", true; more; {
		var keys []string
		var err error
		if keys, more, err = t.io.OmapKeys(t.ctx, args[0], after, omapPage); err != nil {
			return t.report(err, "error getting omap key set %s", t.place(args[0]))
		}
		for _, k := range keys {
			fmt.Fprintln(t.stdout, k)
			after = k
		}
		more = more && len(keys) > 0
	}
	return nil
}

func (t *tool) listomapvals(args []string) error {
	for after, more := "", true; more; {
		page, err := t.io.OmapVals(t.ctx, args[0], after, "", omapPage)
		if err != nil {
			return t.report(err, "error getting omap keys %s", t.place(args[0]))
		}
		for _, k := range page.Keys {
			after = k
			if printable(k) {
				fmt.Fprint(t.stdout, k)
			} else {
				fmt.Fprintf(t.stdout, "key (%d bytes):\n", len(k))
				hexdump(t.stdout, []byte(k))
			}
			fmt.Fprintln(t.stdout)
			if err := t.show("value", page.Values[k], nil); err != nil {
				return err
			}
		}
		more = page.More && len(page.Keys) > 0
	}
	return nil
}

func (t *tool) rmomapkey(args []string) error {
	key, pretty, rest, err := t.omapKey(args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return errUsage
	}
	return t.report(t.io.OmapRmKeys(t.ctx, args[0], key), "error removing omap key %s/%s", t.place(args[0]), pretty)
}

func (t *tool) clearomap(args []string) error {
	for _, name := range args {
		if err := t.io.OmapClear(t.ctx, name); err != nil {
			return t.fail("error clearing omap keys %s/%s", t.place(name), errText(err))
		}
	}
	return nil
}

func (t *tool) setomapheader(args []string) error {
	return t.report(t.io.OmapSetHeader(t.ctx, args[0], []byte(args[1])), "error setting omap value %s", t.place(args[0]))
}

func (t *tool) getomapheader(args []string) error {
	p, err := t.io.OmapHeader(t.ctx, args[0])
	if err != nil {
		return t.report(err, "error getting omap header %s", t.place(args[0]))
	}
	return t.show("header", p, args[1:])
}

func isPrint(c byte) bool { return c >= 0x20 && c < 0x7f }

func printable(s string) bool {
	for i := range len(s) {
		if !isPrint(s[i]) {
			return false
		}
	}
	return true
}

// hexdump prints bytes in the manner of "hexdump -C" (buffer::list::hexdump in
// src/common/buffer.cc): rows of 16; from the second on, rows that repeat one byte
// are shown by a star, but for the last.
func hexdump(w io.Writer, p []byte) {
	const width = 16
	starred := false
	for off := 0; off < len(p); off += width {
		row := p[off:min(off+width, len(p))]
		last := off+width >= len(p)
		if !last && off > 0 && uniform(row) && bytes.Equal(row, p[off-width:off]) {
			if !starred {
				io.WriteString(w, "\n*")
				starred = true
			}
			continue
		}
		starred = false
		if off > 0 {
			io.WriteString(w, "\n")
		}
		fmt.Fprintf(w, "%08x ", off)
		for i := range width {
			if i == width/2 {
				io.WriteString(w, " ")
			}
			if i < len(row) {
				fmt.Fprintf(w, " %02x", row[i])
			} else {
				io.WriteString(w, "   ")
			}
		}
		text := bytes.Clone(row)
		for i, c := range text {
			if !isPrint(c) {
				text[i] = '.'
			}
		}
		fmt.Fprintf(w, "  |%s|", text)
	}
	if len(p) > 0 {
		fmt.Fprintf(w, "\n%08x\n", len(p))
	}
}

func uniform(p []byte) bool {
	for _, c := range p {
		if c != p[0] {
			return false
		}
	}
	return true
}
