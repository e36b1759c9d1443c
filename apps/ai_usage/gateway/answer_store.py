"""Where answers from memory are: in Valkey, encrypted for their tenant and name, bounded in time and bytes."""

import hashlib
import hmac
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from apps.ai_usage import credentials
from apps.governance.admission.errors import ValkeyError, ValkeyUnavailable
from apps.governance.admission.limits import prefix_of
from apps.governance.admission.lua import Script
from apps.governance.admission.valkey import Valkey
from apps.tenancy.types import TenantRef

log = logging.getLogger(__name__)

_SOURCE = (Path(__file__).parent / "answer_store.lua").read_text()
STORE = Script("answer_store", _SOURCE, hashlib.sha1(_SOURCE.encode(), usedforsecurity=False).hexdigest())
# An answer that takes longer to find than this is sooner asked for again.
_PATIENCE = 0.25


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept answer, and what has to be known of the call that it was made by."""

    head: dict[str, Any]
    answer: bytes


def connect() -> Valkey:
    """A connection of its own, so that large answers hold up nobody's admission; opened by its first use."""
    return Valkey(
        settings.VALKEY_URL,
        scripts=(STORE,),
        connect_timeout=_PATIENCE,
        call_timeout=_PATIENCE,
        name="lockstep-answers",
    )


async def read(valkey: Valkey, tenant: TenantRef, name: str) -> Entry | None:
    """The answer under this name; None where there is none, or none that can be read."""
    try:
        sealed = await valkey.execute("GET", _prefix(tenant) + name)
    except (ValkeyUnavailable, ValkeyError):
        return None
    if not sealed:
        return None
    try:
        head, _, answer = credentials.decrypt(sealed, bound_to=_place(tenant, name)).partition(b"\n")
    except credentials.CannotDecrypt:
        return None
    return Entry(orjson.loads(head), answer)


async def write(
    valkey: Valkey, tenant: TenantRef, name: str, head: dict[str, Any], answer: bytes, seconds: int
) -> None:
    """Keep an answer for so long; those that end first make room for it."""
    sealed = credentials.encrypt(orjson.dumps(head) + b"\n" + answer, bound_to=_place(tenant, name))
    prefix = _prefix(tenant)
    keys = (f"{prefix}:ends", f"{prefix}:sizes", prefix)
    words = (name, sealed, seconds * 1000, settings.ANSWER_CACHE_TENANT_BYTES)
    try:
        await valkey.run(STORE, keys, words)
    except ValkeyUnavailable:
        return  # the next one asks the provider
    except ValkeyError:
        log.exception("an answer could not be kept")


@lru_cache(maxsize=10_000)
def naming_key(tenant: TenantRef) -> bytes:
    """What names are made with, so that whoever reads Valkey cannot try out what somebody asked."""
    master = settings.CREDENTIAL_KEY.partition(",")[0].encode()
    return hmac.digest(master, b"lockstep answer names" + tenant.id.bytes, "sha256")


def _prefix(tenant: TenantRef) -> str:
    return f"{prefix_of(tenant.id)}:answer:"


def _place(tenant: TenantRef, name: str) -> str:
    return f"answer:{tenant.id}:{name}"
