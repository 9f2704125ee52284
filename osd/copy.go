package osd

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"sepiola/config"
	"sepiola/message"
	"sepiola/object"
	"sepiola/pg"
	"sepiola/pg/ops"
	"sepiola/rados"
	"sepiola/wire"
)

// copier fetches the sources of copies within the cluster, as a client of it (the
// role of the OSD's Objecter). It connects when it is first needed.
type copier struct {
	mu     sync.Mutex
	client *rados.Client
	// room bounds the copies under way: each may hold a whole object in memory.
	room chan struct{}
}

const (
	copiesAtOnce = 4
	// copyChunk is osd_copyfrom_max_chunk, bytes.
	copyChunk = 8 << 20
	// omapMax bounds the omap of an object that is copied, in bytes of keys and
	// values: it travels in one transaction.
	omapMax = 64 << 20
)

// connect returns the client, connecting it the first time.
func (c *copier) connect(ctx context.Context, d *Daemon) (*rados.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		return c.client, nil
	}
	conf := config.New("osd", strconv.Itoa(int(d.cfg.WhoAmI)))
	for _, name := range []string{"mon_host", "fsid"} {
		if v := d.cfg.Options.String(name); v != "" {
			if err := conf.Set(config.FromOverride, name, v); err != nil {
				return nil, err
			}
		}
	}
	client, err := rados.Connect(ctx, conf, d.cfg.MonLogger)
	if err == nil {
		c.client = client
	}
	return client, err
}

func (c *copier) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		c.client.Close()
	}
}

// fetch gets an object for a PG, in the background.
func (s *shard) fetch(id object.SPGID, e pg.FetchObject) {
	d := s.d
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			select {
			case <-d.stop:
				cancel()
			case <-ctx.Done():
			}
		}()
		got, err := d.fetchObject(ctx, e.Source)
		if err != nil {
			d.cfg.Logger.Debug("source of a copy not fetched", "pg", id.String(), "object", e.Source.Name, "error", err)
			got = &ops.Fetched{Result: resultOf(err)}
		}
		s.queue.push(classClient, work{pgid: id, ev: pg.Fetched{Token: e.Token, Object: got}})
	}()
}

// resultOf turns an error into an operation's result.
func resultOf(err error) int32 {
	var e rados.Errno
	if errors.As(err, &e) {
		return -int32(e)
	}
	return -int32(unix.EIO)
}

// fetchObject gets an object part by part, all of one version.
func (d *Daemon) fetchObject(ctx context.Context, src ops.Fetch) (*ops.Fetched, error) {
	select {
	case d.copier.room <- struct{}{}:
		defer func() { <-d.copier.room }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	client, err := d.copier.connect(ctx, d)
	if err != nil {
		return nil, err
	}
	if client.Map().Pools[src.Pool] == nil {
		if err := client.RefreshMap(ctx); err != nil {
			return nil, err
		}
	}
	got := &ops.Fetched{UserVersion: src.Version, Attrs: map[string][]byte{}, Omap: map[string][]byte{}}
	var cursor message.CopyCursor
	for bytes := 0; !cursor.Done(); {
		part, version, err := fetchPart(ctx, client, src, cursor, got.UserVersion)
		if err != nil {
			return nil, err
		}
		got.UserVersion, cursor = version, part.Cursor
		if bytes += len(part.OmapData); bytes > omapMax {
			return nil, rados.Errno(unix.EFBIG)
		}
		if err := got.Add(part); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// fetchPart gets the next part. Once the version is known, another one is an
// error: the object changed under the copy.
func fetchPart(ctx context.Context, client *rados.Client, src ops.Fetch, cursor message.CopyCursor, version uint64) (*message.CopyData, uint64, error) {
	e := wire.NewEncoder(64)
	cursor.Encode(e)
	var list []message.SubOp
	if version != 0 {
		list = append(list, message.SubOp{Op: message.OpAssertVer, Args: message.AssertVersionArgs(version)})
	}
	list = append(list, message.SubOp{Op: message.OpCopyGet, Args: message.CopyGetArgs(copyChunk), In: wire.BufOf(e.Bytes())})
	reply, err := client.Do(ctx, rados.Request{Pool: src.Pool, Object: src.Name, Locator: src.Locator, Namespace: src.Namespace,
		Snap: src.Snap, Flags: message.FlagRead, Ops: list})
	if err != nil {
		return nil, 0, err
	}
	dec := wire.NewDecoder(reply.Ops[len(reply.Ops)-1].Out.Flat())
	part := message.DecodeCopyData(dec)
	return &part, reply.UserVersion, dec.Err()
}
