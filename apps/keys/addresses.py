"""The networks that a key may be used from."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from apps.keys.errors import InvalidNetwork

Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")
MOST_NETWORKS = 50


def parse_network(text: str) -> Network:
    """A CIDR or a single address as the network it means: host bits cleared, v4-mapped v6 as v4."""
    # A zone belongs to one machine's interface, and the library drops it from some forms without a word.
    if "%" in text:
        raise InvalidNetwork(text)
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise InvalidNetwork(text) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        packed = int(network.network_address) & 0xFFFFFFFF
        return IPv4Network((packed, network.prefixlen - 96))
    return network


def normalise_networks(texts: Iterable[str]) -> list[str]:
    """Networks as stored: normalised, once each, in order; InvalidNetwork names the one that is none."""
    networks = {parse_network(text) for text in texts}
    if len(networks) > MOST_NETWORKS:
        raise InvalidNetwork(f"{len(networks)} networks", reason=f"at most {MOST_NETWORKS} can be given")
    return [str(network) for network in sorted(networks, key=_order)]


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks. No networks: everywhere. No address: nowhere."""
    if not networks:
        return True
    try:
        known = ip_address(address)
    except ValueError:
        return False
    if isinstance(known, IPv6Address) and known.ipv4_mapped is not None:
        known = known.ipv4_mapped
    return any(known in network for network in networks)


def _order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
