"""What other apps hold of governance: who acts, what a tenant may use, what was decided."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from apps.governance.errors import InvalidEntitlements


class ActorKind(StrEnum):
    """Who can act."""

    MEMBER = "member"
    KEY = "key"
    SERVICE_ACCOUNT = "service_account"
    OPERATOR = "operator"
    CONNECTION = "connection"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, from where. Goes with every change into the audit log."""

    kind: ActorKind
    id: str = ""
    name: str = ""
    address: str = ""
    request_id: str = ""
    # What this actor may do: `resource:action` scopes. Operators and the system are not asked.
    scopes: frozenset[str] = frozenset()

    @classmethod
    def system(cls, name: str = "lockstep") -> Self:
        """The platform itself, for scheduled and derived changes."""
        return cls(kind=ActorKind.SYSTEM, name=name)

    @property
    def is_platform(self) -> bool:
        """An operator or the system: bounded by audit, not by scopes."""
        return self.kind in (ActorKind.OPERATOR, ActorKind.SYSTEM)


class Standing(StrEnum):
    """What the tenant's subscription or licence lets model calls do now."""

    ACTIVE = "active"
    UNPAID = "unpaid"
    NONE = "none"  # nothing bought yet, or ended


@dataclass(frozen=True, slots=True)
class Entitlements:
    """Everything a tenant may use now, resolved by whoever sells; the form of the stored snapshot.

    The names and kinds of features and limits are those of `governance.features`; money is a decimal string in
    `currency`. A limit that is absent does not bound. `models` lists the routes; ["*"] means every route that is
    priced.
    """

    standing: Standing
    plan: str
    plan_version: int
    currency: str
    price_list: UUID
    models: tuple[str, ...]
    features: dict[str, bool | str] = field(default_factory=dict)
    limits: dict[str, str | int] = field(default_factory=dict)
    # Where each value came from: "plan", "override" or "licence", by "features.sso" or "limits.keys".
    origins: dict[str, str] = field(default_factory=dict)
    throughput_fails_open: bool = True

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return asdict(self) | {"price_list": str(self.price_list), "models": list(self.models)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """From the stored form; InvalidEntitlements where it is not one."""
        try:
            return cls(
                **(
                    stored
                    | {
                        "standing": Standing(stored["standing"]),
                        "price_list": UUID(stored["price_list"]),
                        "models": tuple(stored["models"]),
                    }
                )
            )
        except (KeyError, TypeError, ValueError) as wrong:
            raise InvalidEntitlements(str(wrong)) from wrong

    def limit(self, name: str) -> int | None:
        """A whole-number limit; None where the plan sets none."""
        value = self.limits.get(name)
        return None if value is None else int(value)

    def may_use_model(self, model: str) -> bool:
        """Whether the plan sells this route."""
        return "*" in self.models or model in self.models


NOTHING_BOUGHT = Entitlements(
    standing=Standing.NONE, plan="", plan_version=0, currency="USD", price_list=UUID(int=0), models=()
)


@dataclass(frozen=True, slots=True)
class AnswerCacheRule:
    """Whether answers to identical requests are repeated from memory, for how long, and of which models."""

    enabled: bool
    seconds: int
    models: tuple[str, ...] = ()  # empty: every one
    # Answers from before are not used again.
    changed_at: datetime | None = field(default=None, compare=False)

    def covers(self, model: str) -> bool:
        """Whether calls to this model are concerned."""
        return not self.models or model in self.models


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line of the audit log, as shown."""

    sequence: int
    at: Any
    action: str
    actor_kind: str
    actor_id: str
    actor_name: str
    target_kind: str
    target_id: str
    details: dict[str, Any]
    request_id: str
    address: str


@dataclass(frozen=True, slots=True)
class TenantBudget:
    """A budget that the tenant set. Money in the tenant's currency, tokens whole."""

    id: UUID
    level: str
    subject_id: UUID | None
    unit: str
    window: str
    amount: Any
    hard: bool
    alert_at: tuple[int, ...]
    shadow: bool = False
    created_by: str = ""

    @property
    def limit_name(self) -> str:
        """How admission calls it; a member and a service account are both an owner of keys."""
        level = "owner" if self.level in ("member", "service_account") else self.level
        kind = "shadow_budget" if self.shadow else "budget" if self.hard else "alert"
        return f"{level}.{'token_' if self.unit == 'tokens' else ''}{kind}_per_{self.window}"

    @property
    def subject(self) -> str:
        """Whom it is on, as admission writes it."""
        return self.subject_id.hex if self.subject_id else ""
