"""Signing how far a tenant's log goes, and telling the signed head where the database's owner cannot reach."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import orjson
from django.conf import settings
from django.db import transaction

from apps.governance import audit_keys
from apps.governance.errors import AuditChainBroken
from apps.governance.models import AuditEntry, AuditHead
from apps.governance.webhooks.events import EventType
from apps.governance.webhooks.outbox import emit
from apps.tenancy import services as tenancy
from apps.tenancy.selectors import current_tenant

log = logging.getLogger(__name__)

START = bytes(32)


@dataclass(frozen=True, slots=True)
class Head:
    """A head as it is signed, stored, told and checked."""

    tenant_id: UUID
    number: int
    kind: str  # head | anchor
    day: date
    at: datetime
    sequence: int
    hash: bytes
    previous: bytes
    key_id: str
    signature: bytes = b""

    @classmethod
    def of_row(cls, row: AuditHead) -> Self:
        """From the table."""
        return cls(
            row.tenant_id, row.number, row.kind, row.day, row.at, row.sequence, bytes(row.hash),
            bytes(row.previous), row.key_id, bytes(row.signature),
        )  # fmt: skip

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        """From what `to_json` wrote; a ValueError or KeyError where it is something else."""
        return cls(
            UUID(told["tenant"]), int(told["number"]), str(told["kind"]), date.fromisoformat(told["day"]),
            datetime.fromisoformat(told["at"]), int(told["sequence"]), bytes.fromhex(told["hash"]),
            bytes.fromhex(told["previous"]), str(told["key_id"]), bytes.fromhex(told["signature"]),
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """As it is told and exported."""
        return {**self._content(), "signature": self.signature.hex()}

    @property
    def message(self) -> bytes:
        """What is signed: everything, the tenant too, so that heads of one log are worth nothing for another."""
        return b"lockstep audit head 1\n" + orjson.dumps(self._content(), option=orjson.OPT_SORT_KEYS)

    @property
    def digest(self) -> bytes:
        """What the next head names as the one before it."""
        return hashlib.sha256(self.message + self.signature).digest()

    @property
    def is_signed(self) -> bool:
        """Whether one of our keys signed it."""
        return audit_keys.is_signed(self.message, key_id=self.key_id, signature=self.signature)

    def _content(self) -> dict[str, Any]:
        return {
            "tenant": str(self.tenant_id),
            "number": self.number,
            "kind": self.kind,
            "day": self.day.isoformat(),
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "sequence": self.sequence,
            "hash": self.hash.hex(),
            "previous": self.previous.hex(),
            "key_id": self.key_id,
        }


def heads_of_tenant() -> list[Head]:
    """Every head of the tenant in force, oldest first."""
    rows = AuditHead.objects.filter(tenant_id=current_tenant().id).order_by("number")
    return [Head.of_row(row) for row in rows]


@transaction.atomic
def sign_head(*, now: datetime) -> Head:
    """Sign how far the log of the tenant in force goes now, and tell it. Control plane.

    Refuses to cover up: where the log does not contain what the head before signed, AuditChainBroken.
    """
    tenancy.lock_tenant("audit")
    last = AuditEntry.objects.order_by("-sequence").only("sequence", "hash").first()
    before = last_head()
    for signed in filter(None, (before, last_head("head"))):
        _check_continues(signed, last)
    sequence, digest = (last.sequence, bytes(last.hash)) if last else (0, START)
    return write_head("head", sequence, digest, before=before, now=now)


def write_head(kind: str, sequence: int, digest: bytes, *, before: Head | None, now: datetime) -> Head:
    """Sign, store and tell one head. The audit log of the tenant in force is locked."""
    unsigned = Head(
        tenant_id=current_tenant().id,
        number=before.number + 1 if before else 1,
        kind=kind,
        day=now.astimezone(UTC).date(),
        at=now,
        sequence=sequence,
        hash=digest,
        previous=before.digest if before else START,
        key_id=audit_keys.current_key(),
    )
    _, signature = audit_keys.sign(unsigned.message)
    head = Head(
        **{name: getattr(unsigned, name) for name in Head.__slots__ if name != "signature"},
        signature=signature,
    )
    AuditHead.objects.create(**{name: getattr(head, name) for name in Head.__slots__})
    emit(EventType.AUDIT_HEAD, head.to_json())
    transaction.on_commit(lambda: announce(head))
    return head


def announce(head: Head) -> None:
    """Tell a head outside the database: in the log stream, and in a file that only grows."""
    told = head.to_json()
    log.info("audit head %s", json.dumps(told))
    path = head_file(head.tenant_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as wrong:
        # The head is in the table, in the log stream and at the tenant's endpoints all the same.
        log.warning("audit head not written to %s: %s", path, wrong)


def head_file(tenant_id: UUID) -> Path:
    """Where this machine keeps the heads that were signed on it."""
    return Path(settings.LOCKSTEP_HOME) / "audit-heads" / f"{tenant_id}.jsonl"


def last_head(kind: str = "") -> Head | None:
    """The newest head of the tenant in force, of one kind or of any."""
    rows = AuditHead.objects.filter(tenant_id=current_tenant().id).order_by("-number")
    row = (rows.filter(kind=kind) if kind else rows).first()
    return Head.of_row(row) if row else None


def _check_continues(signed: Head, last: AuditEntry | None) -> None:
    if not signed.is_signed:
        raise AuditChainBroken(signed.sequence, "its signed head is forged")
    if (last.sequence if last else 0) < signed.sequence:
        raise AuditChainBroken((last.sequence if last else 0) + 1, "entries at the end are missing")
    found = AuditEntry.objects.filter(sequence=signed.sequence).only("hash").first()
    if found is not None and bytes(found.hash) != signed.hash:
        raise AuditChainBroken(signed.sequence, "it is not the entry that was signed")
