// Command osd is the OSD daemon.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"sepiola/cmd/internal/daemon"
	"sepiola/config"
	"sepiola/entity"
	"sepiola/objectstore"
	"sepiola/osd"
)

const usage = `The OSD keeps objects on one disk and serves them with the other OSDs.

Its data directory ("osd data") must be made once with --mkfs, and the OSD must
be known to the monitors: "ceph osd new UUID ID", then --mkfs with that UUID.
`

func main() {
	os.Exit(daemon.Main(daemon.Program{Kind: "osd", Usage: usage, Mkfs: mkfs, Run: run}))
}

// identity reads the OSD's number and cluster from the configuration.
func identity(c *config.Config) (objectstore.Identity, error) {
	n, err := strconv.ParseInt(c.ID, 10, 32)
	if err != nil || n < 0 {
		return objectstore.Identity{}, fmt.Errorf("%q is not an OSD's number; give it with -i, such as -i 0", c.ID)
	}
	if c.String("fsid") == "" {
		return objectstore.Identity{}, errors.New("the cluster is not named; set \"fsid\" in ceph.conf")
	}
	fsid, err := entity.ParseUUID(c.String("fsid"))
	return objectstore.Identity{ClusterFSID: fsid, WhoAmI: int32(n)}, err
}

func mkfs(_ context.Context, e *daemon.Env) error {
	id, err := identity(e.Conf)
	if err != nil {
		return err
	}
	id.OSDFSID = entity.NewUUID()
	if s := e.Conf.String("osd_uuid"); s != "" {
		if id.OSDFSID, err = entity.ParseUUID(s); err != nil {
			return err
		}
	}
	store, err := openStore(e)
	if err != nil {
		return err
	}
	return osd.Mkfs(store, id)
}

func run(ctx context.Context, e *daemon.Env) error {
	paceHeap()
	if v := e.Conf.String("auth_cluster_required"); !strings.Contains(v, "none") {
		return fmt.Errorf("auth_cluster_required = %s: this version authenticates with \"none\" only; set it so in ceph.conf", v)
	}
	id, err := identity(e.Conf)
	if err != nil {
		return err
	}
	mons, err := config.MonHosts(e.Conf.String("mon_host"))
	if err != nil {
		return err
	}
	store, err := openStore(e)
	if err != nil {
		return err
	}
	if k, ok := store.(*keptMemstore); ok {
		if err := k.begin(); err != nil {
			return err
		}
	}
	if err := store.Mount(); err != nil {
		return err
	}
	// Close makes durable what is under way; its error must not be lost.
	runErr := serve(ctx, e, osd.Config{
		WhoAmI: id.WhoAmI, Options: e.Conf, Store: store, Mons: mons,
		Logger: e.Log.Get("osd"), MsgrLogger: e.Log.Get("ms"), MonLogger: e.Log.Get("monc"),
		Admin: e.Admin, Fatal: e.Fatal,
	})
	return errors.Join(runErr, store.Close())
}

func serve(ctx context.Context, e *daemon.Env, cfg osd.Config) error {
	d, err := osd.New(cfg)
	if err != nil {
		return err
	}
	if err := d.Start(); err != nil {
		return err
	}
	done, err := e.Ready()
	if err != nil {
		d.Stop(ctx)
		return err
	}
	<-ctx.Done()
	d.Stop(context.Background())
	done()
	return nil
}
