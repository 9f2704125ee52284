package msgr

import (
	"math/bits"
	"sync"

	"sepiola/wire"
)

// Buffers of received payloads that their owner has freed, by size: class i holds
// those of at least 1<<(i+poolMinBits) bytes.
const (
	poolMinBits = 12
	poolClasses = 11 // up to 4 MiB, the longest piece there is before data arrives
)

var payloadPool [poolClasses]sync.Pool

// getPayload returns n bytes of any content.
func getPayload(n int) []byte {
	class := bits.Len(uint(n-1)) - poolMinBits
	if n >= 1<<(poolMinBits-1) && class < poolClasses {
		if p, ok := payloadPool[max(class, 0)].Get().(*[]byte); ok {
			return (*p)[:n]
		}
	}
	return wire.Uncleared(n)
}

// putPayload takes back memory that nobody refers to any more.
func putPayload(p []byte) {
	class := bits.Len(uint(cap(p))) - 1 - poolMinBits
	if class >= 0 && class < poolClasses {
		payloadPool[class].Put(&p)
	}
}
