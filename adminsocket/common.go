package adminsocket

import (
	"fmt"
	"slices"

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
			return nil, fmt.Errorf("(2) No such file or directory: %q is not an option", a.String("var"))
		}
		return map[string]string{name: v}, nil
	})
	s.Register("config set name=var,type=CephString name=val,type=CephString,n=N",
		"config set <field> <val> [<val> ...]: set a config variable", func(a command.Args) (any, error) {
			return setOption(conf, a)
		})
	s.Register("config unset name=var,type=CephString", "config unset <field>: unset a config variable", func(a command.Args) (any, error) {
		conf.Unset(config.FromOverride, a.String("var"))
		return map[string]string{"success": ""}, nil
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
	if err := conf.Set(config.FromOverride, name, values[0]); err != nil {
		return nil, fmt.Errorf("(22) Invalid argument: %w", err)
	}
	note := ""
	if o, _ := config.Lookup(config.Normalize(name)); o.Startup {
		note = fmt.Sprintf("%s = '%s' (not observed, change may require restart) ", o.Name, values[0])
	}
	return map[string]string{"success": note}, nil
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
