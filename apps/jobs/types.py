"""What a worker holds of a ticket."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

PLATFORM = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Claim:
    """A ticket that this worker may work on until its lease ends."""

    id: UUID
    kind: str
    tenant_id: UUID | None  # None: the operator's own work
    payload: dict[str, Any]
    token: UUID
    attempt: int  # 1 for the first try
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Work that comes back: one ticket per slot of `every` seconds, however many beats run."""

    kind: str
    every: int
    queue: str = "default"
    payload: dict[str, Any] = field(default_factory=dict)
