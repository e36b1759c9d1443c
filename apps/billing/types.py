"""Billing's vocabulary of states, and what it hands to others."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from apps.ai_usage.types import CatalogueEntries


class SubscriptionState(StrEnum):
    """Where a subscription is; what each lets a tenant do is `entitlements.standing_of`."""

    INCOMPLETE = "incomplete"  # the first payment is missing
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"  # a payment failed and is being tried again
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"


class PeriodState(StrEnum):
    """open → closing (over, waiting for late usage) → closed (never changes)."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class InvoiceState(StrEnum):
    """draft → finalizing (numbered, on its way to Stripe) → open → paid, void or uncollectible."""

    DRAFT = "draft"
    FINALIZING = "finalizing"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class LineKind(StrEnum):
    """What a line of an invoice is for."""

    FEE = "fee"  # the plan's price for the month, or the part of it
    USAGE = "usage"
    ADJUSTMENT = "adjustment"  # usage of a period that was closed when it arrived
    CARRY = "carry"  # less than a minor unit, from the invoice before or to the one after
    CREDIT = "credit"


class CreditKind(StrEnum):
    """How credit moves."""

    GRANTED = "granted"
    APPLIED = "applied"  # taken by an invoice
    RETURNED = "returned"  # by an invoice that was voided
    WITHDRAWN = "withdrawn"


class InboxState(StrEnum):
    """received → applied, or ignored because it is about nothing of ours."""

    RECEIVED = "received"
    APPLIED = "applied"
    IGNORED = "ignored"


class OutboxState(StrEnum):
    """ready → done; parked when a person has to look."""

    READY = "ready"
    DONE = "done"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What a version of a plan contains: what a catalogue file says of it."""

    name: str
    price_per_month: Decimal
    currency: str
    markup_percent: Decimal
    models: tuple[str, ...]
    features: dict[str, bool | str] = field(default_factory=dict)
    limits: dict[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanInfo:
    """A published version of a plan."""

    id: UUID
    number: int
    price_list: UUID
    published_at: datetime
    terms: PlanTerms


@dataclass(frozen=True, slots=True)
class SubscriptionInfo:
    """What a tenant has bought."""

    id: UUID
    tenant_id: UUID
    plan: PlanInfo
    state: SubscriptionState
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Override:
    """One tenant's exception from its plan: `features.x` or `limits.x`; a limit of None is unlimited."""

    name: str
    value: bool | int | str | None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InvoiceHeader:
    """An invoice without its lines. `subtotal` is exact, `total` is what is asked for."""

    id: UUID
    tenant_id: UUID
    number: str | None
    state: InvoiceState
    currency: str
    subtotal: Decimal
    total_minor: int
    total: Decimal
    starts_at: datetime
    ends_at: datetime
    period_state: PeriodState
    refreshed_at: datetime
    finalized_at: datetime | None
    due_at: datetime | None
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line: `amount` is exact, `amount_minor` its share of the invoice's total."""

    position: int
    kind: LineKind
    description: str
    starts_at: datetime
    ends_at: datetime
    amount: Decimal
    amount_minor: int = 0
    model: str = ""
    quantity_class: str = ""
    price_id: UUID | None = None
    quantity: int | None = None
    price_per_million: Decimal | None = None


@dataclass(frozen=True, slots=True)
class InvoiceDetail:
    """An invoice with its lines."""

    header: InvoiceHeader
    lines: tuple[LineItem, ...]


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A plan as a catalogue file describes it, and where."""

    terms: PlanTerms
    line: int = 0
    model_lines: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """Everything a catalogue file says."""

    entries: CatalogueEntries
    plans: tuple[PlanEntry, ...]
