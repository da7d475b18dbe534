"""Groups of addresses that are counted, limited or delayed together."""

import ipaddress
from typing import Final

# Within such a network a host takes any address it likes (RFC 4291, 2.5.1).
_IPV6_PREFIX: Final = 64


def network_of(address: str) -> str:
    """The address itself for IPv4, its /64 for IPv6; what is no address stays as it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _IPV6_PREFIX), strict=False))
