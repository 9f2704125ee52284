// Command crushtool compiles, decompiles and tests CRUSH maps, with the options
// and the output of Ceph's program of that name.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"sepiola/crush"
)

const usage = `usage: crushtool ...

Display, compile and test a CRUSH map.

   -d, --decompile MAP     print the text form of a map
   -c, --compile TEXT      compile a text; write the map with -o
   -i, --infn MAP          read a map
   -o, --outfn FILE        write the result there

   -i MAP --test           map a range of inputs
      [--x X] [--min-x X] [--max-x X]       default 0 to 1023
      [--rule R] [--min-rule R] [--max-rule R] [--ruleset R]
      [--num-rep N]                         default: each size the rule is for
      [--pool-id P]                         inputs are placement groups of that pool
      [--weight OSD W]                      reweight of a device, from 0 to 1
   --show-mappings         the devices of each input
   --show-bad-mappings     inputs that got fewer devices than asked for
   --show-statistics       how many inputs got how many devices
   --show-utilization      how many inputs each device got
   --show-utilization-all  the same, with devices that got none

Options may be spelled with - or _ between words.
`

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "crushtool:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseArgs(args)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	defer func() { err = errors.Join(err, out.Flush()) }()
	if o.help {
		fmt.Fprint(out, usage)
		return nil
	}
	actions := 0
	for _, file := range []string{o.in, o.compile, o.decompile} {
		if file != "" {
			actions++
		}
	}
	switch {
	case actions > 1:
		return errors.New("give only one of -i, -c and -d")
	case o.decompile != "":
		return decompile(o, out)
	case o.compile != "":
		return compile(o, out)
	case o.in != "" && o.test:
		m, err := readMap(o.in)
		if err != nil {
			return err
		}
		return test(m, o, out, stderr)
	}
	return errors.New("no action specified; -h for help")
}

func readMap(file string) (*crush.Map, error) {
	p, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m, err := crush.DecodeMap(p)
	if err != nil {
		return nil, fmt.Errorf("unable to decode %s: %w", file, err)
	}
	return m, nil
}

func decompile(o options, out io.Writer) error {
	m, err := readMap(o.decompile)
	if err != nil {
		return err
	}
	text, err := m.Decompile()
	if err != nil {
		return fmt.Errorf("unable to decompile %s: %w", o.decompile, err)
	}
	if o.out != "" {
		return os.WriteFile(o.out, []byte(text), 0o644)
	}
	_, err = io.WriteString(out, text)
	return err
}

func compile(o options, out io.Writer) error {
	text, err := os.ReadFile(o.compile)
	if err != nil {
		return err
	}
	m, err := crush.Compile(o.compile, string(text))
	if err != nil {
		return err
	}
	if o.test {
		if err := test(m, o, out, io.Discard); err != nil {
			return err
		}
	}
	if o.out == "" {
		fmt.Fprintln(out, "crushtool successfully built or modified map.  Use '-o <file>' to write it out.")
		return nil
	}
	return os.WriteFile(o.out, m.EncodeMap(), 0o644)
}
