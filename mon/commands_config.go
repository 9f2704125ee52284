package mon

import (
	"slices"
	"strings"
	"syscall"

	"sepiola/config"
	"sepiola/jsonfmt"
	"sepiola/mon/state"
	"sepiola/texttable"
)

// configCommands are about the configuration database and free-form keys.
var configCommands = []entry{
	{spec("config set name=who,type=CephString name=name,type=CephString name=value,type=CephString name=force,type=CephBool,req=false", "Set a configuration option for one or more entities", "config", "rw", 0), nil},
	{spec("config rm name=who,type=CephString name=name,type=CephString", "Clear a configuration option for one or more entities", "config", "rw", 0), nil},
	{spec("config get name=who,type=CephString name=key,type=CephString,req=false", "Show configuration option(s) for an entity", "config", "r", 0), (*Monitor).cmdConfigGet},
	{spec("config dump", "Show all configuration option(s)", "mon", "r", 0), (*Monitor).cmdConfigDump},
	{spec("config help name=key,type=CephString", "Describe a configuration option", "config", "r", 0), (*Monitor).cmdConfigHelp},
	{spec("config ls", "List available configuration options", "config", "r", 0), (*Monitor).cmdConfigLs},
	{spec("config generate-minimal-conf", "Generate a minimal ceph.conf file", "config", "r", 0), (*Monitor).cmdMinimalConf},
	{spec("config-key get name=key,type=CephString", "get <key>", "config-key", "r", 0), (*Monitor).cmdKeyGet},
	{spec("config-key exists name=key,type=CephString", "check for <key>'s existence", "config-key", "r", 0), (*Monitor).cmdKeyExists},
	{spec("config-key ls", "list keys", "config-key", "r", 0), (*Monitor).cmdKeyLs},
	{spec("config-key list", "list keys", "config-key", "r", flagDeprecated), (*Monitor).cmdKeyLs},
	{spec("config-key dump name=key,type=CephString,req=false", "dump keys and values (with optional prefix)", "config-key", "r", 0), (*Monitor).cmdKeyDump},
	{spec("config-key set name=key,type=CephString name=val,type=CephString,req=false", "set <key> to value <val>", "config-key", "rw", 0), nil},
	{spec("config-key put name=key,type=CephString name=val,type=CephString,req=false", "put <key>, value <val>", "config-key", "rw", flagDeprecated), nil},
	{spec("config-key rm name=key,type=CephString", "rm <key>", "config-key", "rw", 0), nil},
	{spec("config-key del name=key,type=CephString", "delete <key>", "config-key", "rw", flagDeprecated), nil},
}

// configRow is a line of "config dump" and "config get".
type configRow struct {
	section, mask, name, value string
	known                      bool
	opt                        config.Option
}

func newConfigRow(who, name, value string) configRow {
	section, mask, _ := strings.Cut(who, "/")
	r := configRow{section: section, mask: mask, name: name, value: value}
	r.opt, r.known = config.Lookup(name)
	return r
}

// level is the audience of an option. The registry here does not grade its
// options: all are "advanced", as most are in Ceph.
func (r configRow) level() string {
	if !r.known {
		return "unknown"
	}
	return "advanced"
}

func (r configRow) dump(w *jsonfmt.Writer, name string) {
	w.OpenObject(name)
	w.String("section", r.section)
	w.String("name", r.name)
	w.String("value", r.value)
	w.String("level", r.level())
	w.Bool("can_update_at_runtime", !r.opt.Startup && r.known)
	w.String("mask", r.mask)
	w.Close()
}

// indent sets off sections by their rank.
var indent = [...]string{"", "  ", "    "}

func configTable(rows []configRow, indented bool) string {
	var t texttable.Table
	for _, h := range []string{"WHO", "MASK", "LEVEL", "OPTION", "VALUE", "RO"} {
		t.Column(h, texttable.Left, texttable.Left)
	}
	for _, r := range rows {
		ro := ""
		if r.opt.Startup {
			ro = "*"
		}
		section := r.section
		if indented {
			section = indent[sectionRank(section)] + section
		}
		t.Row(section, r.mask, r.level(), r.name, r.value, ro)
	}
	return t.String()
}

// sectionRank is 0 for the whole cluster, 1 for a kind of daemon, 2 for one
// daemon; masks do not matter.
func sectionRank(s string) int {
	section, _, _ := strings.Cut(s, "/")
	switch {
	case section == "global":
		return 0
	case !strings.Contains(section, "."):
		return 1
	}
	return 2
}

// sectionOrder puts global first, then kinds, then names, as Ceph lists them.
func sectionOrder(a, b string) int {
	if d := sectionRank(a) - sectionRank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

func (m *Monitor) cmdConfigDump(q *query) reply {
	conf := m.machine.State.Config
	whos := sortedNames(conf)
	slices.SortFunc(whos, sectionOrder)
	var rows []configRow
	for _, who := range whos {
		for _, name := range sortedNames(conf[who]) {
			rows = append(rows, newConfigRow(who, name, conf[who][name]))
		}
	}
	if !q.isJSON() {
		return reply{out: []byte(configTable(rows, true))}
	}
	w := q.writer()
	w.OpenArray("")
	for _, r := range rows {
		r.dump(w, "")
	}
	w.Close()
	return reply{out: w.Bytes()}
}

// cmdConfigGet shows what the database gives a party; an option that is not in
// it has its default.
func (m *Monitor) cmdConfigGet(q *query) reply {
	who := q.args.String("who")
	if _, _, ok := cutName(who); !ok {
		return refuse(syscall.EINVAL, "unrecognized entity '%s'", who)
	}
	t := state.Target{Name: who}
	if id, ok := strings.CutPrefix(who, "osd."); ok {
		one := &query{args: map[string]any{"id": id}}
		if osd, bad := m.osdArg(one); bad == nil {
			t.Class, t.Places = osdPlace(m.crush(), osd)
			t.Host = t.Places["host"]
		}
	}
	conf := m.machine.State.Config.For(t)
	if key := config.Normalize(q.args.String("key")); key != "" {
		opt, known := config.Lookup(key)
		v, set := conf[key]
		switch {
		case !known && !set:
			return refuse(syscall.ENOENT, "unrecognized key '%s'", q.args.String("key"))
		case key == "fsid" || key == "mon_host" || key == "mon_data":
			return refuse(syscall.EINVAL, "%s is special and cannot be stored by the mon", key)
		case !set:
			v.Value = opt.Default
		}
		return text("%s\n", v.Value)
	}
	var rows []configRow
	for _, name := range sortedNames(conf) {
		rows = append(rows, newConfigRow(conf[name].Who, name, conf[name].Value))
	}
	if !q.isJSON() {
		return reply{out: []byte(configTable(rows, false))}
	}
	w := q.writer()
	w.OpenObject("")
	for _, r := range rows {
		w.OpenObject(r.name)
		w.String("value", r.value)
		w.String("section", r.section)
		w.OpenObject("mask")
		if class, ok := strings.CutPrefix(r.mask, "class:"); ok {
			w.String("device_class", class)
		} else if kind, place, ok := strings.Cut(r.mask, ":"); ok {
			w.String("location_type", kind)
			w.String("location_value", place)
		}
		w.Close()
		w.Bool("can_update_at_runtime", !r.opt.Startup && r.known)
		w.Close()
	}
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdConfigHelp(q *query) reply {
	key := config.Normalize(q.args.String("key"))
	opt, ok := config.Lookup(key)
	if !ok {
		return refuse(syscall.ENOENT, "")
	}
	if !q.isJSON() {
		return text("%s - %s\n  (%s, advanced)\n  Default: %s\n  Can update at runtime: %v\n", opt.Name, opt.Desc, opt.Type, opt.Default, !opt.Startup)
	}
	w := q.writer()
	w.OpenObject("")
	opt.DumpJSON(w)
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdConfigLs(q *query) reply {
	names := config.Names()
	if q.isJSON() {
		w := q.writer()
		w.Strings("", names)
		return reply{out: w.Bytes()}
	}
	return reply{out: []byte(strings.Join(append(names, ""), "\n"))}
}

func (m *Monitor) cmdMinimalConf(*query) reply {
	mm := m.machine.State.MonMap
	var hosts []string
	for _, name := range mm.Ranks {
		hosts = append(hosts, "["+mm.Mons[name].Addrs.String()+"]")
	}
	return text("# minimal ceph.conf for %s\n[global]\n\tfsid = %s\n\tmon_host = %s\n", m.cfg.FSID, m.cfg.FSID, strings.Join(hosts, " "))
}

func (m *Monitor) cmdKeyGet(q *query) reply {
	key := q.args.String("key")
	v, ok := m.machine.State.ConfigKeys[key]
	if !ok {
		return refuse(syscall.ENOENT, "")
	}
	return reply{out: []byte(v)}
}

func (m *Monitor) cmdKeyExists(q *query) reply {
	key := q.args.String("key")
	if _, ok := m.machine.State.ConfigKeys[key]; !ok {
		return refuse(syscall.ENOENT, "key '%s' doesn't exist", key)
	}
	return reply{status: "key '" + key + "' exists"}
}

func (m *Monitor) cmdKeyLs(q *query) reply {
	w := q.writer()
	w.Strings("", sortedNames(m.machine.State.ConfigKeys))
	return line(w)
}

func (m *Monitor) cmdKeyDump(q *query) reply {
	w := q.writer()
	w.OpenObject("")
	for _, k := range sortedNames(m.machine.State.ConfigKeys) {
		if strings.HasPrefix(k, q.args.String("key")) {
			w.String(k, m.machine.State.ConfigKeys[k])
		}
	}
	w.Close()
	return line(w)
}
