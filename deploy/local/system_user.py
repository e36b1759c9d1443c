"""Who PostgreSQL runs as, which refuses to run as root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalServiceError


@dataclass(frozen=True)
class SystemUser:
    """An account of this machine that isn't root."""

    name: str
    uid: int
    gid: int


def user_for(data: Path) -> SystemUser | None:
    """The user who owns, or shall own, the data directory `data`; None when that is ourselves."""
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise LocalServiceError(
                f"{data} belongs to user {owner}, not to you; run as the user who made it (root?), "
                "or choose another directory with LOCKSTEP_HOME."
            )
        return None
    # Data made by an ordinary user stays his when root continues with it.
    return _account(owner) if owner else _nobody()


def _account(uid: int) -> SystemUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise LocalServiceError(
            f"The data directory belongs to user {uid}, who has no account on this machine; "
            "choose another directory with LOCKSTEP_HOME, or delete the data with `make reset`."
        ) from None
    return SystemUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _nobody() -> SystemUser:
    # initdb insists on a name in the account database, and adding one to somebody's machine isn't ours to do.
    for name in ("nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return SystemUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise LocalServiceError(
        "PostgreSQL refuses to run as root and this machine has neither the user nobody nor daemon; "
        "run as an ordinary user."
    )
