package command

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A signature is what src/mon/MonCommands.h writes: literal words, then arguments.
func TestSpec(t *testing.T) {
	s := Spec{Sig: "osd pool set name=pool,type=CephPoolname name=var,type=CephChoices,strings=size|min_size name=val,type=CephString,n=N name=sure,type=CephBool,req=false,range=1|2,3"}
	if got := s.Prefix(); got != "osd pool set" {
		t.Errorf("prefix %q", got)
	}
	want := []Arg{{"pool", "CephPoolname", true, false, nil}, {"var", "CephChoices", true, false, []string{"size", "min_size"}},
		{"val", "CephString", true, true, nil}, {"sure", "CephBool", false, false, nil}}
	if got := s.Args(); !reflect.DeepEqual(got, want) {
		t.Errorf("arguments %+v", got)
	}
	for _, c := range []struct {
		args Args
		want string
	}{
		{Args{"pool": "p", "var": "size", "val": []any{"3"}}, ""},
		{Args{"pool": "p", "var": "size", "val": "3", "extra": 1.0}, ""},
		{Args{"var": "size", "val": "3"}, "missing required parameter pool"},
		{Args{"pool": "p", "var": "colour", "val": "3"}, "colour not in size|min_size"},
	} {
		err := s.Check(c.args)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}

// Descriptions are the JSON that the ceph program reads: words as strings, arguments as
// objects.
func TestDescriptions(t *testing.T) {
	out := Descriptions([]Spec{
		{Sig: "osd map name=pool,type=CephPoolname", Help: `find "it"`, Module: "osd", Perm: "r", Flags: FlagMgr},
		{Sig: "help"},
	})
	var got map[string]struct {
		Sig    []any
		Help   string
		Module string
		Perm   string
		Flags  int
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	c := got["cmd000"]
	if want := []any{"osd", "map", map[string]any{"name": "pool", "type": "CephPoolname"}}; !reflect.DeepEqual(c.Sig, want) {
		t.Errorf("signature %v", c.Sig)
	}
	if c.Help != `find "it"` || c.Module != "osd" || c.Perm != "r" || c.Flags != 8 || len(got) != 2 || strings.Contains(string(out), `"help":"","module"`) {
		t.Errorf("descriptions %s", out)
	}
}

// Arguments are taken in the types that clients send them in.
func TestArgs(t *testing.T) {
	a, err := Parse([]string{`{"prefix":"p q","n":7,"s":"x",`, `"ns":"12","f":1.5,"b":true,"l":["a",2,true],"no":"false","bad":{}}`})
	if err != nil {
		t.Fatal(err)
	}
	if a.Prefix() != "p q" || a.Format() != "plain" || !a.Has("n") || a.Has("m") || a.String("n") != "7" || a.String("f") != "1.5" || a.String("b") != "true" || a.String("l") != "" {
		t.Errorf("strings of %v", a)
	}
	if !slices.Equal(a.Strings("l"), []string{"a", "2", "true"}) || !slices.Equal(a.Strings("s"), []string{"x"}) || a.Strings("m") != nil {
		t.Errorf("lists of %v", a)
	}
	if !a.Bool("b") || !a.Bool("s") || a.Bool("no") || a.Bool("m") || a.Bool("n") {
		t.Errorf("truths of %v", a)
	}
	for name, want := range map[string]int64{"n": 7, "ns": 12, "m": 5} {
		if got, err := a.Int(name, 5); err != nil || got != want {
			t.Errorf("%s is %d (%v)", name, got, err)
		}
	}
	for name, want := range map[string]float64{"f": 1.5, "ns": 12, "m": 5} {
		if got, err := a.Float(name, 5); err != nil || got != want {
			t.Errorf("%s is %v (%v)", name, got, err)
		}
	}
	for _, name := range []string{"s", "l", "b", "bad"} {
		if _, err := a.Int(name, 0); err == nil {
			t.Errorf("%s is an integer", name)
		}
		if _, err := a.Float(name, 0); err == nil {
			t.Errorf("%s is a number", name)
		}
	}
	if a["format"] = "json"; a.Format() != "json" {
		t.Error("format")
	}
}

func TestParseRefusals(t *testing.T) {
	for _, s := range []string{"", "x", "[]", "null", "{}", `{"prefix":7}`, `{"prefix":"x"} more`, `{"prefix":"` + strings.Repeat("x", maxCommandBytes) + `"}`} {
		if a, err := Parse([]string{s}); err == nil {
			t.Errorf("%.20q was read as %v", s, a)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"prefix":"osd pool set","pool":"data","var":"size","val":[3]}`)
	f.Add(`{"prefix":"","format":{}}`)
	spec := Spec{Sig: "x name=a,type=CephChoices,strings=p|q name=l,type=CephString,n=N,req=false"}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse([]string{s})
		if err != nil {
			return
		}
		_ = spec.Check(a)
		for name := range a {
			_, _ = a.Int(name, 0)
			_, _ = a.Float(name, 0)
			_, _, _ = a.Bool(name), a.Strings(name), a.String(name)
		}
		_ = a.Format()
	})
}
