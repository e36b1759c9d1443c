"""Which addresses a webhook may be sent to: public ones, over https, and nothing of ours.

The same checks are made when an endpoint is saved and again for each attempt, because a name may lead elsewhere
by then. What was resolved and checked is what is connected to; nothing resolves it a second time.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from apps.governance.errors import WebhookAddressRefused

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], list[str]]

MOST_CHARACTERS = 500
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
# Visible ASCII without what one parser skips and another stops at.
_PLAIN = re.compile(r"[!#-;=?-\[\]_a-z~%]+\Z")
_LOCAL_NAMES = re.compile(r"(?:localhost|.+\.localhost)\Z")
_RESOLVE_SECONDS = 5.0

# Beside everything that `is_global` refuses: ranges that are routed, but to machines nobody means.
_NEVER_V4 = [
    IPv4Network("192.0.0.0/24"),  # protocols' own, and Oracle's metadata
    IPv4Network("168.63.129.16/32"),  # Azure's platform, from inside Azure
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("240.0.0.0/4"),
]
_NEVER_V6 = [
    IPv6Network("2001::/23"),  # Teredo, ORCHID and other protocols' own
    IPv6Network("2002::/16"),  # 6to4: holds an IPv4 address
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),
]
_ROUTED_V6 = IPv6Network("2000::/3")  # leaves out IPv4-mapped, IPv4-compatible, NAT64 and all private forms
_METADATA = {"169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"}

# Many, so that names whose servers never answer do not keep the others waiting.
_lookups = ThreadPoolExecutor(64, thread_name_prefix="webhook-names")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: an endpoint's address, taken apart once, and the checked addresses behind its name."""

    scheme: str
    host: str
    port: int
    path: str  # with its query
    addresses: tuple[str, ...]

    @property
    def url(self) -> str:
        """Put together again from the parts that were checked."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def checked_target(url: str) -> Target:
    """Take an address apart, resolve its name and check every address behind it; WebhookAddressRefused."""
    scheme, host, port, path = _parts(url)
    literal = _literal(host)
    local = settings.WEBHOOK_ALLOW_LOCAL and (
        literal.is_loopback if literal else bool(_LOCAL_NAMES.match(host))
    )
    if scheme != "https" and not local:
        raise WebhookAddressRefused("it must begin with https://")
    if literal is None and "." not in host and not local:
        raise WebhookAddressRefused(f"{host} is not a public name")
    if port not in settings.WEBHOOK_PORTS and not local:
        allowed = ", ".join(str(each) for each in settings.WEBHOOK_PORTS)
        raise WebhookAddressRefused(f"port {port} is not among those that may be used ({allowed})")
    found = [str(literal)] if literal else _resolve(host, port)
    for address in found:
        check_address(address, local=local)
    return Target(scheme, host, port, path, tuple(found))


def check_address(address: str, *, local: bool = False) -> None:
    """Refuse an address that is not on the public internet; WebhookAddressRefused."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise WebhookAddressRefused(f"{address[:60]} is no address") from None
    if local and parsed.is_loopback:
        return
    if str(parsed) not in _METADATA and any(parsed in network for network in _private_networks()):
        return
    if not _is_public(parsed):
        raise WebhookAddressRefused(f"{parsed} is not an address on the public internet")


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NEVER_V4)
    if address not in _ROUTED_V6 or address.scope_id is not None:
        return False
    # ISATAP: an IPv4 address as the interface's part.
    if (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE:
        return False
    return not any(address in network for network in _NEVER_V6)


def _private_networks() -> list[IPv4Network | IPv6Network]:
    return [ipaddress.ip_network(text) for text in settings.WEBHOOK_PRIVATE_NETWORKS]


def _parts(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path of an address that every parser reads the same way."""
    if not url or len(url) > MOST_CHARACTERS:
        raise WebhookAddressRefused(f"it must have at most {MOST_CHARACTERS} characters")
    if not _PLAIN.match(url.lower()) or "@" in url.split("?")[0]:
        raise WebhookAddressRefused("it may hold only plain characters, and no user name or password")
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise WebhookAddressRefused("it is not an address") from None
    scheme, host = split.scheme.lower(), (split.hostname or "").lower()
    if scheme not in ("http", "https") or not url.lower().startswith(f"{scheme}://"):
        raise WebhookAddressRefused("it must begin with https://")
    if split.username is not None or split.password is not None:
        raise WebhookAddressRefused("it may not hold a user name or password")
    if split.fragment or "#" in url:
        raise WebhookAddressRefused("it may not hold a fragment (#)")
    if split.netloc.endswith(":") or "%" in split.netloc:
        raise WebhookAddressRefused("its host is not plain")
    bracketed = split.netloc.startswith("[")
    if bracketed != (":" in host) or not (bracketed or _NAME.match(host)) or len(host) > 253:
        raise WebhookAddressRefused("its host is not a name or an address")
    if port == 0:
        raise WebhookAddressRefused("port 0 cannot be used")
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return scheme, host, port or (443 if scheme == "https" else 80), path


def _literal(host: str) -> Address | None:
    """The address that a host is, if it is one; forms that only some parsers take for one are refused."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        last = host.rsplit(".", 1)[-1]
        if ":" in host or last.isdigit() or re.match(r"0x[0-9a-f]*\Z", last):
            raise WebhookAddressRefused(f"{host[:60]} is not an address in its usual form") from None
        return None


def _resolve(host: str, port: int) -> list[str]:
    resolver: Resolver = import_string(settings.WEBHOOK_RESOLVER)
    try:
        found = _lookups.submit(resolver, host, port).result(_RESOLVE_SECONDS)
    except (OSError, UnicodeError, TooSlow):
        found = []
    if not found:
        raise WebhookAddressRefused(f"{host} cannot be resolved")
    return found[:16]


def system_addresses(host: str, port: int) -> list[str]:
    """What this machine's resolver says, each address once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
