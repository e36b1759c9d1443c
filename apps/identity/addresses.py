"""Where a request comes from, as far as our own proxies can be believed."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The peer's address, seen past as many proxies as are ours (`TRUSTED_PROXY_COUNT`); empty if there is
    none.
    """
    return address_behind_proxies(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.TRUSTED_PROXY_COUNT,
    )


def address_behind_proxies(peer: str, forwarded: str, proxies: int) -> str:
    """Each proxy of ours appends the address that it saw, so the one that counts is counted from the right.

    What stands further left was sent by the client and proves nothing.
    """
    seen = [part.strip() for part in forwarded.split(",") if part.strip()] if proxies else []
    seen.append(peer)
    # Fewer entries than proxies: the request went around one of ours, and what it says was the client's to
    # write.
    claimed = seen[-1 - proxies] if len(seen) > proxies else peer
    return _normal(claimed) or _normal(peer)


# Clients come back, and taking an address apart costs several microseconds of each call.
@lru_cache(maxsize=4096)
def _normal(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)
