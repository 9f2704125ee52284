package osdmap

import (
	"net/netip"
	"slices"

	"sepiola/entity"
)

// AddrCIDR is the type of an entry that blocks a network
// (entity_addr_t::TYPE_CIDR).
const AddrCIDR entity.AddrType = 4

// WholeHost returns the blocklist entry that blocks every instance at a's IP.
func WholeHost(a entity.Addr) entity.Addr {
	return entity.Addr{Type: entity.AddrAny, AddrPort: netip.AddrPortFrom(a.Addr(), 0)}
}

// WholeNetwork returns the entry of the range blocklist that blocks a network.
func WholeNetwork(p netip.Prefix) entity.Addr {
	return entity.Addr{Type: AddrCIDR, Nonce: uint32(p.Bits()), AddrPort: netip.AddrPortFrom(p.Addr(), 0)}
}

// IsBlocklisted reports whether the address, any instance of it, its whole host
// or its network is blocked. Entries other than networks are of type any and
// compared as such.
func (m *Map) IsBlocklisted(a entity.Addr) bool {
	if len(m.Blocklist) == 0 && len(m.RangeBlocklist) == 0 {
		return false
	}
	a.Type = entity.AddrAny
	if _, ok := m.Blocklist[a]; ok {
		return true
	}
	if !a.IsValid() {
		return false
	}
	if _, ok := m.Blocklist[WholeHost(a)]; ok {
		return true
	}
	for network := range m.RangeBlocklist {
		if networkContains(network, a.Addr()) {
			return true
		}
	}
	return false
}

func networkContains(network entity.Addr, ip netip.Addr) bool {
	if network.Nonce > 128 {
		return false
	}
	p, err := network.Addr().Prefix(int(network.Nonce))
	return err == nil && p.Contains(ip)
}

// AnyBlocklisted reports whether any of the addresses is blocked.
func (m *Map) AnyBlocklisted(v entity.AddrVec) bool {
	return slices.ContainsFunc(v, m.IsBlocklisted)
}
