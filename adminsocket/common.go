package adminsocket

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"sepiola/command"
	"sepiola/config"
	"sepiola/version"
)

func (s *Server) registerVersion() {
	s.Register("version", "get ceph version", func(command.Args) (any, error) {
		return struct {
			Version string `json:"version"`
			Release string `json:"release"`
			Type    string `json:"release_type"`
		}{version.Ceph, version.Release, version.ReleaseType}, nil
	})
	s.Register("git_version", "get git sha1", func(command.Args) (any, error) {
		return map[string]string{"git_version": version.Revision()}, nil
	})
}

func (s *Server) registerConfig(conf *config.Config) {
	s.Register("config show", "dump current config settings", func(command.Args) (any, error) {
		out := conf.Show()
		out["name"] = conf.Name()
		return out, nil
	})
	s.Register("config diff", "dump diff of current config and default config", func(command.Args) (any, error) {
		return map[string]any{"diff": conf.Diff()}, nil
	})
	s.Register("config get name=var,type=CephString", "config get <field>: get the config value", func(a command.Args) (any, error) {
		name := config.Normalize(a.String("var"))
		v, ok := conf.Get(name)
		if !ok {
			return nil, refusal{syscall.ENOENT, fmt.Sprintf("error getting '%s'", a.String("var"))}
		}
		return map[string]string{name: v}, nil
	})
	s.Register("config set name=var,type=CephString name=val,type=CephString,n=N",
		"config set <field> <val> [<val> ...]: set a config variable", func(a command.Args) (any, error) {
			return setOption(conf, a)
		})
	s.Register("config unset name=var,type=CephString", "config unset <field>: unset a config variable", func(a command.Args) (any, error) {
		conf.Unset(config.FromOverride, a.String("var"))
		return struct{}{}, nil
	})
	s.Register("config help name=var,type=CephString,req=false", "get config setting schema and descriptions", func(a command.Args) (any, error) {
		return describeOptions(a.String("var"))
	})
}

func setOption(conf *config.Config, a command.Args) (any, error) {
	values := a.Strings("val")
	if len(values) != 1 {
		return nil, fmt.Errorf("(22) Invalid argument: config set takes one value, got %d", len(values))
	}
	name := a.String("var")
	o, known := config.Lookup(config.Normalize(name))
	if !known {
		return nil, refusal{syscall.ENOENT, fmt.Sprintf("error setting '%s' to '%s'", name, values[0])}
	}
	if err := conf.Set(config.FromOverride, name, values[0]); err != nil {
		return nil, refusal{syscall.EINVAL, fmt.Sprintf("error setting '%s' to '%s'", name, values[0])}
	}
	note := fmt.Sprintf("%s = '%s' ", o.Name, values[0])
	if o.Startup {
		note += "(not observed, change may require restart) "
	}
	return map[string]string{"success": note}, nil
}

// refusal is an error in the form of Ceph's answers: the errno and its text, then
// what was tried and the errno again.
type refusal struct {
	errno syscall.Errno
	what  string
}

func (r refusal) Error() string {
	text := r.errno.Error()
	text = strings.ToUpper(text[:1]) + text[1:] // as strerror(3) writes it
	return fmt.Sprintf("(%d) %s\n%s: (%d) %s", int(r.errno), text, r.what, int(r.errno), text)
}

func describeOptions(name string) (any, error) {
	type described struct {
		Name    string   `json:"name"`
		Type    string   `json:"type"`
		Desc    string   `json:"desc"`
		Default string   `json:"default"`
		Enum    []string `json:"enum_values"`
		Runtime bool     `json:"can_update_at_runtime"`
	}
	var out []described
	for _, n := range config.Names() {
		if name != "" && n != config.Normalize(name) {
			continue
		}
		o, _ := config.Lookup(n)
		out = append(out, described{o.Name, o.Type.String(), o.Desc, o.Default, slices.Clone(o.Choices), !o.Startup})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("(22) Invalid argument: setting %q not found", name)
	}
	return out, nil
}
