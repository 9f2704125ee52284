package main

import (
	"fmt"
	"strconv"
	"strings"

	"sepiola/crush"
)

// options are what the command line asks for. Numbers below zero were not
// given.
type options struct {
	help                        bool
	in, out, compile, decompile string

	test             bool
	minX, maxX       int
	minRule, maxRule int
	ruleset          int
	numRep           int
	pool             int
	weights          map[int]uint32

	mappings, badMappings          bool
	statistics                     bool
	utilization, allDevicesUtilize bool
}

// parseArgs reads the command line by hand, since an option with two values
// (--weight OSD W) and a single dash before it are beyond the flag package.
func parseArgs(args []string) (options, error) {
	o := options{minX: -1, maxX: -1, minRule: -1, maxRule: -1, ruleset: -1, numRep: -1, pool: -1, weights: map[int]uint32{}}
	for len(args) > 0 {
		name, value, inline := strings.Cut(args[0], "=")
		name = strings.ReplaceAll(strings.TrimLeft(name, "-"), "_", "-")
		if !strings.HasPrefix(args[0], "-") {
			return o, fmt.Errorf("unrecognized argument %q", args[0])
		}
		args = args[1:]
		if set := o.flag(name); set != nil {
			*set = true
			continue
		}
		if inline {
			args = append([]string{value}, args...)
		}
		n, err := o.valued(name, args)
		if err != nil {
			return o, err
		}
		args = args[n:]
	}
	if o.utilization || o.allDevicesUtilize {
		o.statistics = true
	}
	return o, nil
}

// flag returns what an option without a value sets, or nil.
func (o *options) flag(name string) *bool {
	switch name {
	case "h", "help":
		return &o.help
	case "test":
		return &o.test
	case "show-mappings":
		return &o.mappings
	case "show-bad-mappings":
		return &o.badMappings
	case "show-statistics":
		return &o.statistics
	case "show-utilization":
		return &o.utilization
	case "show-utilization-all":
		return &o.allDevicesUtilize
	}
	return nil
}

// valued sets an option from the arguments after it and returns how many it
// took.
func (o *options) valued(name string, args []string) (int, error) {
	files := map[string]*string{
		"i": &o.in, "infn": &o.in, "o": &o.out, "outfn": &o.out,
		"c": &o.compile, "compile": &o.compile, "d": &o.decompile, "decompile": &o.decompile,
	}
	numbers := map[string][]*int{
		"x": {&o.minX, &o.maxX}, "min-x": {&o.minX}, "max-x": {&o.maxX},
		"rule": {&o.minRule, &o.maxRule}, "min-rule": {&o.minRule}, "max-rule": {&o.maxRule},
		"ruleset": {&o.ruleset}, "num-rep": {&o.numRep}, "pool-id": {&o.pool},
	}
	weight := name == "w" || name == "weight"
	want := 1
	if weight {
		want = 2
	}
	if files[name] == nil && numbers[name] == nil && !weight {
		return 0, fmt.Errorf("unrecognized option --%s", name)
	}
	if len(args) < want {
		return 0, fmt.Errorf("option %s requires %d argument(s)", name, want)
	}
	if file := files[name]; file != nil {
		*file = args[0]
		return 1, nil
	}
	n, err := strconv.ParseInt(args[0], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("option %s: %q is not a number", name, args[0])
	}
	if weight {
		return 2, o.setWeight(int(n), args[1])
	}
	for _, v := range numbers[name] {
		*v = int(n)
	}
	return 1, nil
}

func (o *options) setWeight(osd int, word string) error {
	w, err := strconv.ParseFloat(word, 32)
	if err != nil || w != w {
		return fmt.Errorf("weight of device %d: %q is not a number", osd, word)
	}
	f := float32(w) * float32(crush.One)
	o.weights[osd] = uint32(max(0, min(f, float32(crush.One))))
	return nil
}
