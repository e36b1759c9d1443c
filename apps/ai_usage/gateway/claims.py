"""A call that its client named with an Idempotency-Key, while it is being made."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from uuid import UUID

from apps.ai_usage import credentials
from apps.ai_usage.gateway.requests import ModelRequest
from apps.ai_usage.ledger.records import KeptAnswer, Record
from apps.tenancy.types import TenantRef

# A longer answer is not kept for repetitions; they are told so, and are not charged either.
LONGEST_ANSWER = 1024 * 1024


@dataclass(slots=True)
class Claim:
    """The right to make one call under its Idempotency-Key, and what of its answer has to be kept."""

    tenant: TenantRef
    id: UUID
    call_id: UUID
    event_id: UUID
    content_type: str = "application/json"
    is_kept: bool = False
    # The answer may not be shown, so there is none to repeat.
    is_abandoned: bool = False
    # Moves the claim's lease on while the call is under way.
    keeper: asyncio.Task[None] | None = None
    _pieces: list[bytes] = field(default_factory=list)
    _size: int = 0

    def add(self, piece: bytes) -> None:
        """Take a part of the answer as the client sees it, up to what is kept."""
        self._size += len(piece)
        if self._size <= LONGEST_ANSWER:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def keep_with(self, record: Record) -> None:
        """Have the answer stored in the transaction that stores what it cost: both are there, or neither.

        The event gets the claim's own id, so that the ledger takes one only, whatever else fails.
        """
        if self.is_abandoned:
            return
        record.events[0]["id"] = self.event_id
        record.kept = self.kept()

    def kept(self) -> KeptAnswer:
        """The answer as it is stored, encrypted for its place."""
        self.is_kept = True
        if self._size > LONGEST_ANSWER:
            return KeptAnswer(self.id, self.call_id, "too_large", self.content_type, None)
        sealed = credentials.encrypt(b"".join(self._pieces), bound_to=place(self.tenant, self.id))
        return KeptAnswer(self.id, self.call_id, "done", self.content_type, sealed)


def place(tenant: TenantRef, claim_id: UUID) -> str:
    """What a kept answer is bound to when it is encrypted."""
    return f"idempotent:{tenant.id}:{claim_id}"


def fingerprint(request: ModelRequest) -> bytes:
    """Tells two requests apart: their endpoint and every byte of their bodies."""
    return hashlib.sha256(request.endpoint.value.encode() + b"\0" + request.body).digest()
