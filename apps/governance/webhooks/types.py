"""What faces are shown of endpoints and deliveries. Secrets are in none of it but the answer that makes one."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as shown."""

    id: UUID
    url: str
    description: str
    events: tuple[str, ...]
    state: str  # enabled | disabled
    disabled_because: str
    disabled_at: datetime | None
    created_at: datetime
    created_by: str
    failing_since: datetime | None
    failures: int
    previous_secret_until: datetime | None
    # Of one that is told of audit entries: the last one accepted, and the latest attempts.
    audit_after: int | None
    audit_attempts: tuple[dict[str, Any], ...]

    @property
    def is_enabled(self) -> bool:
        """Whether events are sent to it."""
        return self.state == "enabled"


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An endpoint with a secret that is shown this once."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint as shown."""

    id: UUID
    webhook_id: str
    event_type: str
    at: datetime
    state: str
    tries: int
    due_at: datetime | None  # of one that waits
    finished_at: datetime | None
    attempts: tuple[dict[str, Any], ...]
    payload: dict[str, Any]
