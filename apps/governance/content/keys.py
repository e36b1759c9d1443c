"""Envelope encryption: content under a tenant's data key, that key under a master key made from CREDENTIAL_KEY.

A destroyed data key leaves nothing readable of what it encrypted, wherever copies of that are.
"""

import logging
import os
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import transaction
from django.utils import timezone

from apps.governance.announcing import announce_change
from apps.governance.audit import record_audit
from apps.governance.content.errors import ContentUnreadable
from apps.governance.models import CallContent, ContentKey
from apps.governance.sealing import CannotOpen, seal, unseal
from apps.governance.types import Actor
from apps.tenancy.selectors import current_tenant
from apps.tenancy.services import lock_tenant

log = logging.getLogger(__name__)

_PURPOSE = "content-key"
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class DataKey:
    """A tenant's data key, opened. Stays in memory."""

    tenant_id: UUID
    number: int
    secret: bytes

    def __repr__(self) -> str:
        return f"<DataKey {self.number}>"

    def encrypt(self, call_id: UUID, plaintext: bytes) -> bytes:
        """Encrypt what belongs to one call; it opens as nothing else."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.secret).encrypt(nonce, plaintext, self._place(call_id))

    def decrypt(self, call_id: UUID, ciphertext: bytes) -> bytes:
        """The plaintext, or ContentUnreadable."""
        stored = bytes(ciphertext)
        try:
            return AESGCM(self.secret).decrypt(
                stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], self._place(call_id)
            )
        except InvalidTag:
            raise ContentUnreadable from None

    def _place(self, call_id: UUID) -> bytes:
        return f"{self.tenant_id}:{self.number}:{call_id}".encode()


def current_key() -> DataKey:
    """The key that encrypts for the tenant in force now; made when it is first needed."""
    row = _newest()
    if row is None:
        with transaction.atomic():
            lock_tenant("content_key")
            row = _newest() or _make()
    return _opened(row)


def usable_key() -> DataKey | None:
    """The same for whoever must not fail without it: None, and an error in the log, where it cannot be opened."""
    try:
        return current_key()
    except ContentUnreadable:
        log.error("content is not kept: the tenant's data key cannot be opened with CREDENTIAL_KEY")
        return None


def key_numbered(number: int) -> DataKey | None:
    """An older key; None where it was destroyed."""
    row = ContentKey.objects.filter(pk=number, wrapped__isnull=False).first()
    return _opened(row) if row else None


@transaction.atomic
def rotate_key(*, actor: Actor) -> int:
    """Encrypt under a new data key from the next call on; what is kept stays under the one it has."""
    lock_tenant("content_key")
    row = _make()
    record_audit("content.key_rotated", actor=actor, target_kind="content_key", target_id=row.number)
    announce_change()
    return row.number


@transaction.atomic
def rewrap_keys() -> int:
    """Seal each data key again under the newest master key; how many. After that an old one can be taken away."""
    lock_tenant("content_key")
    rows = list(ContentKey.objects.select_for_update().filter(wrapped__isnull=False))
    for row in rows:
        opened = _opened(row)
        row.wrapped = seal(opened.secret, purpose=_PURPOSE, place=_place(row.number))
        row.save()
    return len(rows)


@transaction.atomic
def shred(*, actor: Actor) -> int:
    """Destroy every data key of the tenant in force: nothing that was kept can be read again; how many keys."""
    lock_tenant("content_key")
    destroyed = ContentKey.objects.filter(wrapped__isnull=False).update(
        wrapped=None, destroyed_at=timezone.now()
    )
    record_audit(
        "content.shredded", actor=actor, target_kind="content_key", details={"keys_destroyed": destroyed}
    )
    announce_change()
    return destroyed


def forget_expired(now: datetime) -> int:
    """Delete what is kept no longer, and what nothing can decrypt any more; how many."""
    destroyed = list(ContentKey.objects.filter(wrapped=None).values_list("number", flat=True))
    expired, _ = CallContent.objects.filter(expires_at__lte=now).delete()
    unreadable, _ = CallContent.objects.filter(key_number__in=destroyed).delete() if destroyed else (0, {})
    return expired + unreadable


def _newest() -> ContentKey | None:
    return ContentKey.objects.filter(wrapped__isnull=False).order_by("-number").first()


def _make() -> ContentKey:
    last = ContentKey.objects.order_by("-number").first()
    number = last.number + 1 if last else 1
    wrapped = seal(AESGCM.generate_key(256), purpose=_PURPOSE, place=_place(number))
    return ContentKey.objects.create(number=number, wrapped=wrapped)


def _opened(row: ContentKey) -> DataKey:
    try:
        secret = unseal(bytes(row.wrapped or b""), purpose=_PURPOSE, place=_place(row.number))
    except CannotOpen:
        raise ContentUnreadable from None
    return DataKey(current_tenant().id, row.number, secret)


def _place(number: int) -> str:
    return f"{current_tenant().id}:{number}"
