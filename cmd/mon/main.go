// Command mon is the monitor daemon.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sepiola/cmd/internal/daemon"
	"sepiola/config"
	"sepiola/entity"
	"sepiola/mon"
	"sepiola/osdmap"
)

const usage = `The monitor keeps the cluster's maps and configuration, and serves the manager's
protocol too. Its address is the one of "mon host" in ceph.conf, or --public-addr.

      --monmap FILE   with --mkfs: take fsid and addresses from a monitor map
`

func main() {
	os.Exit(daemon.Main(daemon.Program{Kind: "mon", Usage: usage, Extra: []string{"monmap"}, Mkfs: mkfs, Run: run}))
}

func fsidOf(c *config.Config) (entity.UUID, error) {
	s := c.String("fsid")
	if s == "" {
		return entity.UUID{}, nil
	}
	return entity.ParseUUID(s)
}

func mkfs(_ context.Context, e *daemon.Env) error {
	o := mon.MkfsOptions{Name: e.Conf.ID, Now: time.Now()}
	var err error
	if o.FSID, err = fsidOf(e.Conf); err != nil {
		return err
	}
	if path := e.Extra["monmap"]; path != "" {
		if err := fromMonMap(&o, path); err != nil {
			return err
		}
	} else if o.Mons, err = initialMons(e.Conf); err != nil {
		return err
	}
	return mon.Mkfs(e.Conf.String("mon_data"), o)
}

func fromMonMap(o *mon.MkfsOptions, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m, err := osdmap.DecodeMonMap(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	o.FSID, o.Mons = m.FSID, map[string]entity.AddrVec{}
	for _, info := range m.Mons {
		o.Mons[info.Name] = info.Addrs
	}
	return nil
}

// initialMons are the monitors of a new cluster: this one alone, at its public
// address or the one address of "mon host".
func initialMons(c *config.Config) (map[string]entity.AddrVec, error) {
	if s := c.String("public_addr"); s != "" {
		v, err := entity.ParseAddrVec(s)
		if err != nil {
			return nil, err
		}
		if v[0].Port() != 0 {
			return map[string]entity.AddrVec{c.ID: v}, nil
		}
	}
	hosts, err := config.MonHosts(c.String("mon_host"))
	if err != nil {
		return nil, err
	}
	if len(hosts) != 1 {
		return nil, fmt.Errorf("\"mon host\" names %d monitors; a new cluster begins with one, or give --monmap", len(hosts))
	}
	return map[string]entity.AddrVec{c.ID: hosts[0]}, nil
}

func run(ctx context.Context, e *daemon.Env) error {
	for _, name := range []string{"auth_cluster_required", "auth_service_required", "auth_client_required"} {
		if v := e.Conf.String(name); !strings.Contains(v, "none") {
			return fmt.Errorf("%s = %s: this version authenticates with \"none\" only; set it so in ceph.conf", name, v)
		}
	}
	fsid, err := fsidOf(e.Conf)
	if err != nil {
		return err
	}
	m, err := mon.New(mon.Config{
		Name: e.Conf.ID, DataDir: e.Conf.String("mon_data"), FSID: fsid, Options: e.Conf,
		Logger: e.Log.Get("mon"), MsgrLogger: e.Log.Get("ms"), Admin: e.Admin, Fatal: e.Fatal,
	})
	if err != nil {
		return err
	}
	if err := m.Start(); err != nil {
		m.Shutdown()
		return err
	}
	done, err := e.Ready()
	if err != nil {
		m.Shutdown()
		return err
	}
	<-ctx.Done()
	m.Shutdown()
	done()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
