package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"sepiola/adminsocket"
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

	reasons []reason // why PGs are not clean, where it was asked for
}

// reason is what "ceph pg why" says of a PG that is not clean.
type reason struct {
	PG    string `json:"pgid"`
	State string `json:"state"`
	Why   string `json:"why"`
	Do    string `json:"do"`
}

func (r reason) String() string {
	s := fmt.Sprintf("pg %s is %s: %s", r.PG, r.State, r.Why)
	if r.Do != "" {
		s += "; " + r.Do
	}
	return s
}

func (a *admin) reasons(ctx context.Context) ([]reason, error) {
	list := []reason{}
	err := a.query(ctx, map[string]any{"prefix": "pg why"}, &list)
	return list, err
}

func (a *admin) status(ctx context.Context) (clusterStatus, error) {
	var st clusterStatus
	return st, a.query(ctx, map[string]any{"prefix": "status"}, &st)
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
func (st clusterStatus) why(c *cluster, notJoined []string, err error) string {
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
	case st.OSDMap.NumUpOSDs < c.osdCount():
		return fmt.Sprintf("%d of %d OSDs are up", st.OSDMap.NumUpOSDs, c.osdCount())
	case len(notJoined) > 0:
		return strings.Join(notJoined, ", ") + " did not join"
	}
	return fmt.Sprintf("of %d PGs: %s", st.PGMap.NumPGs, st.stateText())
}

// waiting names the OSDs that run and have not joined the cluster yet. The
// monitors may take one for up that was killed and started again.
func (c *cluster) waiting(ctx context.Context) []string {
	var out []string
	for _, name := range c.daemons() {
		if programOf(name) != "osd" {
			continue
		}
		var st struct {
			State string `json:"state"`
		}
		b, err := adminsocket.Ask(ctx, c.path("run", name+".asok"), map[string]any{"prefix": "status", "format": "json"})
		if err == nil {
			err = json.Unmarshal(b, &st)
		}
		if err != nil || st.State != "active" {
			out = append(out, name)
		}
	}
	return out
}

// settled reports whether the states of PGs are as of after all OSDs joined. A
// report that is older may call a PG clean that has yet to peer.
func (a *admin) settled(ctx context.Context) (bool, error) {
	var osds struct {
		OSDs []struct {
			ID     int    `json:"osd"`
			UpFrom uint32 `json:"up_from"`
		} `json:"osds"`
	}
	var pgs struct {
		Stats []struct {
			Epoch uint32 `json:"reported_epoch"`
			Up    []int  `json:"up"`
		} `json:"pg_stats"`
	}
	if err := a.query(ctx, map[string]any{"prefix": "osd dump"}, &osds); err != nil {
		return false, err
	}
	if err := a.query(ctx, map[string]any{"prefix": "pg dump", "dumpcontents": []string{"pgs"}}, &pgs); err != nil {
		return false, err
	}
	joined := map[int]uint32{}
	for _, o := range osds.OSDs {
		joined[o.ID] = o.UpFrom
	}
	for _, pg := range pgs.Stats {
		for _, osd := range pg.Up {
			if pg.Epoch < joined[osd] {
				return false, nil
			}
		}
	}
	return true, nil
}

// query runs a command and reads its answer as JSON.
func (a *admin) query(ctx context.Context, cmd map[string]any, into any) error {
	cmd["format"] = "json"
	b, err := a.command(ctx, cmd)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
