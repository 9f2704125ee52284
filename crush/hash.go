package crush

// hashSeed starts every hash (crush_hash_seed, src/crush/hash.c).
const hashSeed = 1315423911

// The words that pad the inputs of a hash to triples.
const (
	padX = 231232
	padY = 1232
)

// mix is the mixing step of Robert Jenkins' 1996 hash (evahash, in the public
// domain).
func mix(a, b, c uint32) (uint32, uint32, uint32) {
	a = (a - b - c) ^ c>>13
	b = (b - c - a) ^ a<<8
	c = (c - a - b) ^ b>>13
	a = (a - b - c) ^ c>>12
	b = (b - c - a) ^ a<<16
	c = (c - a - b) ^ b>>5
	a = (a - b - c) ^ c>>3
	b = (b - c - a) ^ a<<10
	c = (c - a - b) ^ b>>15
	return a, b, c
}

// hash2, hash3 and hash4 hash two, three and four words
// (crush_hash32_rjenkins1_N). The order of the mixing steps is part of the
// placement of every object.
func hash2(a, b uint32) uint32 {
	h, x, y := hashSeed^a^b, uint32(padX), uint32(padY)
	a, b, h = mix(a, b, h)
	_, _, h = mix(x, a, h)
	_, _, h = mix(b, y, h)
	return h
}

func hash3(a, b, c uint32) uint32 {
	h, x, y := hashSeed^a^b^c, uint32(padX), uint32(padY)
	a, b, h = mix(a, b, h)
	c, x, h = mix(c, x, h)
	y, _, h = mix(y, a, h)
	_, _, h = mix(b, x, h)
	_, _, h = mix(y, c, h)
	return h
}

func hash4(a, b, c, d uint32) uint32 {
	h, x, y := hashSeed^a^b^c^d, uint32(padX), uint32(padY)
	a, b, h = mix(a, b, h)
	c, d, h = mix(c, d, h)
	_, x, h = mix(a, x, h)
	y, _, h = mix(y, b, h)
	_, _, h = mix(c, x, h)
	_, _, h = mix(y, d, h)
	return h
}

// Hash2 is the hash of two words that Ceph also uses outside of CRUSH: a
// placement group's seed with its pool (crush_hash32_2).
func Hash2(a, b uint32) uint32 { return hash2(a, b) }
