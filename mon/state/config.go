package state

import (
	"maps"
	"strings"
	"syscall"

	"sepiola/config"
	"sepiola/entity"
)

// Config is the configuration database: values by whom they are for and option.
// "Whom" is a section: "global", a kind ("osd"), a name or a part of one
// ("osd.1"), with an optional mask ("osd/host:x", "osd/class:ssd").
type Config map[string]map[string]string

// with returns a copy in which the option has the value.
func (c Config) with(who, name, value string) Config {
	out := maps.Clone(c)
	if out == nil {
		out = Config{}
	}
	section := maps.Clone(out[who])
	if section == nil {
		section = map[string]string{}
	}
	section[name] = value
	out[who] = section
	return out
}

func (c Config) without(who, name string) Config {
	out := maps.Clone(c)
	section := maps.Clone(out[who])
	delete(section, name)
	if len(section) == 0 {
		delete(out, who)
	} else {
		out[who] = section
	}
	return out
}

// Target says who asks for a configuration.
type Target struct {
	Name   string // type.id
	Host   string
	Class  string            // device class of an OSD
	Places map[string]string // CRUSH location
}

// ConfigValue is an effective value and where it is set.
type ConfigValue struct {
	Value, Who string
}

// For returns what applies to a party: of several values the one of the most
// particular section, and within a section one with a mask that matches
// (ConfigMap::generate_entity_map).
func (c Config) For(t Target) map[string]ConfigValue {
	out := map[string]ConfigValue{}
	for _, section := range sectionsOf(t.Name) {
		for _, masked := range []bool{false, true} {
			for _, who := range sortedKeys(c) {
				base, mask, has := strings.Cut(who, "/")
				if base != section || has != masked || has && !t.matches(mask) {
					continue
				}
				for name, v := range c[who] {
					out[name] = ConfigValue{v, who}
				}
			}
		}
	}
	return out
}

// sectionsOf returns the sections that apply to "client.a.b": global, client,
// client.a, client.a.b.
func sectionsOf(name string) []string {
	out := []string{"global"}
	for i, ch := range name {
		if ch == '.' {
			out = append(out, name[:i])
		}
	}
	return append(out, name)
}

func (t Target) matches(mask string) bool {
	for part := range strings.SplitSeq(mask, "/") {
		kind, value, _ := strings.Cut(part, ":")
		switch kind {
		case "class":
			if value != t.Class {
				return false
			}
		case "host":
			if value != t.Host && value != t.Places["host"] {
				return false
			}
		default:
			if t.Places[kind] != value {
				return false
			}
		}
	}
	return true
}

// parseWho checks a configuration target and gives its normal form.
func parseWho(who string) (string, bool) {
	section, mask, masked := strings.Cut(who, "/")
	if strings.Contains(section, ":") { // only a mask: for everybody
		section, mask, masked = "global", who, true
	}
	if section == "" {
		section = "global"
	}
	kind, _, named := strings.Cut(section, ".")
	if section != "global" {
		if _, err := entity.ParseType(kind); err != nil {
			return "", false
		}
		if named && strings.HasSuffix(section, ".") {
			return "", false
		}
	}
	if !masked {
		return section, true
	}
	for part := range strings.SplitSeq(mask, "/") {
		if k, v, ok := strings.Cut(part, ":"); !ok || k == "" || v == "" {
			return "", false
		}
	}
	return section + "/" + mask, true
}

func configKey(who, name string) string { return keyConfig + who + "\x00" + name }

func (t *txn) configSet(a *Admin) Reply {
	name, value := config.Normalize(a.Args.String("name")), a.Args.String("value")
	if !a.Args.Bool("force") {
		opt, ok := config.Lookup(name)
		if !ok {
			return failed(syscall.EINVAL, "unrecognized config option '%s'", a.Args.String("name"))
		}
		if err := opt.Validate(value); err != nil {
			return failed(syscall.EINVAL, "error parsing value: %v", err)
		}
		value = opt.Canonical(value)
		if name == "fsid" || name == "mon_host" || name == "mon_data" {
			return failed(syscall.EINVAL, "%s is special and cannot be stored by the mon", name)
		}
	}
	who, ok := parseWho(a.Args.String("who"))
	if !ok {
		return failed(syscall.EINVAL, "unrecognized config target '%s'", a.Args.String("who"))
	}
	t.s.Config = t.s.Config.with(who, name, value)
	t.put(configKey(who, name), []byte(value))
	return Reply{}
}

func (t *txn) configRm(a *Admin) Reply {
	who, ok := parseWho(a.Args.String("who"))
	if !ok {
		return failed(syscall.EINVAL, "unrecognized config target '%s'", a.Args.String("who"))
	}
	name := config.Normalize(a.Args.String("name"))
	if _, ok := t.s.Config[who][name]; ok {
		t.s.Config = t.s.Config.without(who, name)
		t.remove(configKey(who, name))
	}
	return Reply{}
}

// Bounds of config-key values (mon_config_key_max_entry_size).
const maxConfigKeyValue = 64 << 10

func (t *txn) configKeySet(a *Admin) Reply {
	key := a.Args.String("key")
	value := []byte(a.Args.String("val"))
	if !a.Args.Has("val") {
		value = a.Input
	}
	switch {
	case key == "":
		return failed(syscall.EINVAL, "a key must not be empty")
	case len(value) > maxConfigKeyValue:
		return failed(syscall.EFBIG, "error: entry size limited to %d bytes. Use 'mon config key max entry size' to manually adjust", maxConfigKeyValue)
	}
	t.s.ConfigKeys = maps.Clone(t.s.ConfigKeys)
	t.s.ConfigKeys[key] = string(value)
	t.put(keyConfigKey+key, append([]byte{}, value...))
	return done("set %s", key)
}

func (t *txn) configKeyRm(a *Admin) Reply {
	key := a.Args.String("key")
	if _, ok := t.s.ConfigKeys[key]; !ok {
		return done("key deleted")
	}
	t.s.ConfigKeys = maps.Clone(t.s.ConfigKeys)
	delete(t.s.ConfigKeys, key)
	t.remove(keyConfigKey + key)
	return done("key deleted")
}

func (t *txn) logCommand(a *Admin) Reply {
	t.logMax = a.Settings.LogMax
	t.logged = append(t.logged, LogEntry{
		Name: a.Who, Stamp: t.now, Level: LogInfo, Channel: "cluster",
		Text: strings.Join(a.Args.Strings("logtext"), " "),
	})
	return Reply{}
}
