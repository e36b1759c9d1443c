"""Reading what is kept of a call: decrypted for one reader, and never without its entry in the audit log."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from django.db import transaction
from django.utils import timezone

from apps.governance.audit import record_audit
from apps.governance.content.errors import ContentNotFound
from apps.governance.content.keys import key_numbered
from apps.governance.models import CallContent
from apps.governance.types import Actor


@dataclass(frozen=True, slots=True)
class Content:
    """What a call asked and was answered, after redaction."""

    call_id: UUID
    request: str
    answer: str
    answer_is_cut: bool
    created_at: datetime
    expires_at: datetime


def is_kept(call_id: UUID) -> bool:
    """Whether there is something to read of a call."""
    return CallContent.objects.filter(pk=call_id, expires_at__gt=timezone.now()).exists()


@transaction.atomic
def read_content(call_id: UUID, *, actor: Actor) -> Content:
    """Decrypt what is kept of a call, and record who read it."""
    row = CallContent.objects.filter(pk=call_id, expires_at__gt=timezone.now()).first()
    key = key_numbered(row.key_number) if row else None
    if row is None or key is None:
        raise ContentNotFound
    stored = orjson.loads(key.decrypt(call_id, bytes(row.ciphertext)))
    record_audit("content.read", actor=actor, target_kind="call", target_id=call_id)
    return Content(
        call_id, stored["request"], stored["answer"], stored["cut"], row.created_at, row.expires_at
    )
