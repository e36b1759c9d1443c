"""Checking a tenant's whole log: its chain, its signed heads, and what was remembered of it elsewhere."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from apps.governance import audit_tail
from apps.governance.audit import entry_hash
from apps.governance.audit_heads import START, Head, heads_of_tenant
from apps.governance.errors import AuditChainBroken
from apps.governance.models import AuditEntry
from apps.tenancy.selectors import current_tenant

# Heads are signed once a day; a log whose newest head is older than this has lost some.
_LATEST = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found intact."""

    entries: int
    first: int  # sequence of the oldest entry; above 1 where older ones were removed under an anchor
    last: int
    heads: int
    signed_through: int  # what comes after it is held by the chain alone until the next head


def verify_log(*, told: Iterable[Head] = (), now: datetime | None = None) -> Verdict:
    """Check the log of the tenant in force, or AuditChainBroken with the place.

    `told` are heads that were kept outside the database: one that is not in it, or differs, is found.
    """
    moment = now or timezone.now()
    heads = heads_of_tenant()
    _check_heads(heads)
    _check_told(heads, told)
    anchor = next((head for head in reversed(heads) if head.kind == "anchor"), None)
    verdict = _walk(heads, anchor)
    _check_freshness(heads, moment)
    remembered = audit_tail.last_sequence(current_tenant().id)
    if remembered is not None and remembered > verdict.last:
        raise AuditChainBroken(verdict.last + 1, "entries at the end are missing")
    return verdict


def _check_heads(heads: list[Head]) -> None:
    tenant, before, furthest = current_tenant().id, None, 0
    for number, head in enumerate(heads, start=1):
        if head.tenant_id != tenant or not head.is_signed:
            raise AuditChainBroken(head.sequence, f"signed head {head.number} is forged")
        if head.number != number:
            raise AuditChainBroken(head.sequence, f"signed head {number} is missing")
        if head.previous != (before.digest if before else START):
            raise AuditChainBroken(head.sequence, f"signed head {number} does not follow the one before it")
        # An anchor goes back to what was removed; heads themselves never go back.
        if head.kind == "head" and head.sequence < furthest:
            raise AuditChainBroken(head.sequence, f"signed head {number} goes back")
        before, furthest = head, max(furthest, head.sequence)


def _check_told(heads: list[Head], told: Iterable[Head]) -> None:
    by_number = {head.number: head for head in heads}
    for head in told:
        if head.tenant_id != current_tenant().id or not head.is_signed:
            raise AuditChainBroken(
                head.sequence, f"the exported head {head.number} is forged or another tenant's"
            )
        if by_number.get(head.number) != head:
            raise AuditChainBroken(
                head.sequence, f"signed head {head.number}, which was exported, is missing"
            )


def _walk(heads: list[Head], anchor: Head | None) -> Verdict:
    """Along the chain, from the anchor where entries were removed; each head must meet its entry."""
    expected_hash = anchor.hash if anchor else START
    begin = expected = anchor.sequence + 1 if anchor else 1
    signed = {head.sequence: head.hash for head in heads}
    count = 0
    for entry in _entries():
        if entry.sequence != expected:
            raise AuditChainBroken(
                min(expected, entry.sequence),
                "entries are missing" if entry.sequence > expected else "an entry was put in",
            )
        if bytes(entry.previous_hash) != expected_hash:
            raise AuditChainBroken(entry.sequence, "it does not follow the entry before it")
        if entry_hash(entry) != bytes(entry.hash):
            raise AuditChainBroken(entry.sequence, "its content was changed")
        if entry.sequence in signed and signed[entry.sequence] != bytes(entry.hash):
            raise AuditChainBroken(entry.sequence, "it is not the entry that was signed")
        expected_hash, expected, count = bytes(entry.hash), entry.sequence + 1, count + 1
    last = expected - 1
    through = max((head.sequence for head in heads), default=0)
    if through > last:
        raise AuditChainBroken(last + 1, "entries at the end are missing")
    return Verdict(count, begin, last, len(heads), through)


def _check_freshness(heads: list[Head], now: datetime) -> None:
    newest = max((head.at for head in heads), default=None)
    since = newest
    if since is None:
        oldest = AuditEntry.objects.order_by("sequence").values_list("at", flat=True).first()
        if oldest is None:
            return
        since = oldest
    if now - since > _LATEST:
        said = (
            f"the newest signed head is of {newest.astimezone(UTC):%Y-%m-%d}"
            if newest
            else "no head was ever signed"
        )
        place = max((head.sequence for head in heads), default=0) + 1
        raise AuditChainBroken(place, f"{said}, and one is due every day")


def _entries() -> Iterator[AuditEntry]:
    yield from AuditEntry.objects.order_by("sequence").iterator(chunk_size=2000)
