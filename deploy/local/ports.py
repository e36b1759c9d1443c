"""Ports on the loopback address: which are taken, and which we may take."""

import secrets
import socket
from pathlib import Path

from deploy.local.errors import LocalServiceError
from deploy.local.processes import wait_until

LOOPBACK = "127.0.0.1"

_LOWEST = 20_000
_HIGHEST = 32_000


def port_is_taken(port: int) -> bool:
    """Whether something listens on this loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without it a connection of the previous run in TIME_WAIT would count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A free loopback port outside the range from which the system numbers outgoing connections.

    A port from that range (what binding to 0 gives) can be taken by anybody's outgoing connection between
    this call and the moment our server binds it, which parallel tests do make happen.
    """
    highest = min(_HIGHEST, _lowest_outgoing_port() - 1)
    for _ in range(100):
        port = _LOWEST + secrets.randbelow(highest - _LOWEST) if highest > _LOWEST else _any_free_port()
        if not port_is_taken(port):
            return port
    raise LocalServiceError(
        f"No free port found between {_LOWEST} and {highest} on {LOOPBACK}; stop some servers there."
    )


def require_free(ports: dict[str, int], *, patience: float = 0) -> None:
    """Refuse, naming each of `ports` (what it is for → number) that is still taken after `patience`."""
    wait_until(lambda: not any(map(port_is_taken, ports.values())), seconds=patience)
    taken = [f"{port} ({purpose})" for purpose, port in ports.items() if port_is_taken(port)]
    if taken:
        names = "Port " + taken[0] + " is" if len(taken) == 1 else "Ports " + ", ".join(taken) + " are"
        raise LocalServiceError(
            f"{names} already in use on {LOOPBACK}. Stop what listens there, or choose another base port, "
            "for example: LOCKSTEP_PORT=9000 make up"
        )


def _lowest_outgoing_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32_768


def _any_free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
