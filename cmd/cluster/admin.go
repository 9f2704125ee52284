package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"sepiola/config"
	"sepiola/rados"
)

// admin speaks to the cluster as client.admin.
type admin struct{ client *rados.Client }

func dial(ctx context.Context, c *cluster) (*admin, error) {
	conf := config.New("client", "admin")
	if err := conf.Load(c.conf()); err != nil {
		return nil, err
	}
	client, err := rados.Connect(ctx, conf, hclog.NewNullLogger())
	if err != nil {
		return nil, err
	}
	return &admin{client}, nil
}

func (a *admin) close() { a.client.Close() }

func (a *admin) command(ctx context.Context, cmd map[string]any) ([]byte, error) {
	b, err := json.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	out, _, err := a.client.MonCommand(ctx, string(b), nil)
	return out, err
}

func (a *admin) newOSD(ctx context.Context, id int, uuid string) error {
	_, err := a.command(ctx, map[string]any{"prefix": "osd new", "uuid": uuid, "id": fmt.Sprint(id)})
	return err
}

func (a *admin) createPool(ctx context.Context, p pool) error {
	for _, cmd := range []map[string]any{
		{"prefix": "osd pool create", "pool": p.Name, "pg_num": p.PGs, "pgp_num": p.PGs, "pool_type": "replicated", "size": p.Size},
		{"prefix": "osd pool set", "pool": p.Name, "var": "min_size", "val": fmt.Sprint(p.minSize())},
		{"prefix": "osd pool application enable", "pool": p.Name, "app": "rados"},
	} {
		if _, err := a.command(ctx, cmd); err != nil {
			return err
		}
	}
	return nil
}

// clusterStatus is what "ceph status" says that matters here.
type clusterStatus struct {
	Health struct {
		Status string `json:"status"`
	} `json:"health"`
	OSDMap struct {
		NumOSDs   int `json:"num_osds"`
		NumUpOSDs int `json:"num_up_osds"`
	} `json:"osdmap"`
	PGMap struct {
		NumPGs   int `json:"num_pgs"`
		ByStates []struct {
			Name  string `json:"state_name"`
			Count int    `json:"count"`
		} `json:"pgs_by_state"`
	} `json:"pgmap"`
}

func (a *admin) status(ctx context.Context) (clusterStatus, error) {
	var st clusterStatus
	b, err := a.command(ctx, map[string]any{"prefix": "status", "format": "json"})
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(b, &st)
}

// states returns the number of PGs by state.
func (st clusterStatus) states() map[string]int {
	out := map[string]int{}
	for _, s := range st.PGMap.ByStates {
		out[s.Name] += s.Count
	}
	return out
}

func (st clusterStatus) cleanPGs() int { return st.states()["active+clean"] }

func (st clusterStatus) clean(osds int) bool {
	return st.OSDMap.NumUpOSDs >= osds && st.PGMap.NumPGs > 0 && st.cleanPGs() == st.PGMap.NumPGs
}

// stateText is "30 active+clean, 2 peering".
func (st clusterStatus) stateText() string {
	states := st.states()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(states)) {
		parts = append(parts, fmt.Sprintf("%d %s", states[name], name))
	}
	return strings.Join(parts, ", ")
}

// why says what keeps the cluster from being clean.
func (st clusterStatus) why(c *cluster, err error) string {
	var stopped []string
	for _, name := range c.daemons() {
		if c.pid(name) == 0 {
			stopped = append(stopped, name)
		}
	}
	switch {
	case len(stopped) > 0:
		return strings.Join(stopped, ", ") + " stopped"
	case st.OSDMap.NumOSDs == 0 && err != nil:
		return "the monitor does not answer: " + err.Error()
	case st.OSDMap.NumUpOSDs < len(c.OSDs):
		return fmt.Sprintf("%d of %d OSDs are up", st.OSDMap.NumUpOSDs, len(c.OSDs))
	}
	return fmt.Sprintf("of %d PGs: %s", st.PGMap.NumPGs, st.stateText())
}
