package adminsocket

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	"sepiola/command"
)

// answerBytesMax bounds an answer that [Ask] reads.
const answerBytesMax = 64 << 20

// Ask sends a command to the daemon that listens at path and returns its answer. A
// refusal is an answer as well: text that begins with "ERROR: ".
func Ask(ctx context.Context, path string, args command.Args) ([]byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	defer c.Close()
	// A context that ends cuts the exchange short.
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	line, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(append(line, 0)); err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	var size uint32
	if err := binary.Read(c, binary.BigEndian, &size); err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	if size > answerBytesMax {
		return nil, fmt.Errorf("admin socket %s: an answer of %d bytes", path, size)
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(c, out); err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	return out, nil
}
