"""The one place that speaks to Stripe: a client of our own, pinned, with an idempotency key on every write.

Nothing global of the library is touched, so that dj-stripe's use of it and ours never meet.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
import stripe
from django.conf import settings
from django.db import transaction
from djstripe.models import Event

from apps.errors import DomainError

log = logging.getLogger(__name__)

_TIMEOUT = 20
_TOLERANCE = 300  # seconds by which a webhook's signature may be old


class StripeAway(DomainError):
    """Stripe did not answer, or asked to come back: the same words are said again later."""

    status = 503
    code = "stripe_unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Stripe cannot be reached now: {reason}. It is tried again.", retry_after=30)


class StripeRefused(DomainError):
    """Stripe understood and said no: somebody has to look."""

    status = 502
    code = "stripe_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Stripe refused: {reason}.")


class BadSignature(DomainError):
    """A webhook that Stripe did not sign, or too long ago."""

    status = 400
    code = "invalid_signature"

    def __init__(self) -> None:
        super().__init__("This is not signed by Stripe with a secret that we know, or it is too old.")


@dataclass(frozen=True, slots=True)
class StripeInvoice:
    """What we need to know of an invoice at Stripe. Amounts in minor units."""

    id: str
    status: str  # draft | open | paid | void | uncollectible
    customer: str
    currency: str
    total: int
    amount_due: int
    attempted: bool
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook."""

    id: str
    type: str
    object_id: str
    created: datetime
    livemode: bool
    account: str
    payload: dict[str, Any]


def is_configured() -> bool:
    """Whether Stripe collects here. Elsewhere invoices are paid by other ways and marked by an operator."""
    return settings.DEPLOYMENT_MODE == "saas" and bool(settings.STRIPE_SECRET_KEY)


def subscriber_of_request(request: Any) -> Any:
    """dj-stripe's question of whom a request is for; the tenant plane has no part in its tables."""
    return getattr(request, "tenant", None)


def create_customer(request: Mapping[str, Any], *, key: str) -> str:
    """Make a customer; its id."""
    with _speaking():
        return _client().v1.customers.create(params=dict(request), options={"idempotency_key": key}).id  # type: ignore[arg-type]


def find_customer(tenant_id: str) -> str | None:
    """The customer that was made for a tenant, if there is one."""
    query = f"metadata['lockstep_tenant']:'{tenant_id}'"
    with _speaking():
        found = _client().v1.customers.search(params={"query": query, "limit": 1}).data
    return found[0].id if found else None


def create_invoice(request: Mapping[str, Any], *, key: str) -> str:
    """Make a draft that Stripe does not advance by itself; its id."""
    with _speaking():
        return _client().v1.invoices.create(params=dict(request), options={"idempotency_key": key}).id  # type: ignore[arg-type]


def find_invoice(customer: str, invoice_id: str) -> str | None:
    """The draft that was made for one of our invoices, if there is one."""
    with _speaking():
        for found in (
            _client().v1.invoices.list(params={"customer": customer, "limit": 100}).auto_paging_iter()
        ):
            if _noted(found, "lockstep_invoice") == invoice_id and found.status != "void":
                return found.id
    return None


def create_item(request: Mapping[str, Any], *, key: str) -> str:
    """Put a line on a draft; its id."""
    with _speaking():
        return _client().v1.invoice_items.create(params=dict(request), options={"idempotency_key": key}).id  # type: ignore[arg-type]


def find_item(invoice: str, line_id: str) -> str | None:
    """The line that was made for one of our lines, if there is one."""
    with _speaking():
        for found in (
            _client().v1.invoice_items.list(params={"invoice": invoice, "limit": 100}).auto_paging_iter()
        ):
            if _noted(found, "lockstep_line") == line_id:
                return found.id
    return None


def finalize_invoice(invoice: str, *, key: str) -> str:
    """Make a draft owed; its id."""
    with _speaking():
        return (
            _client()
            .v1.invoices.finalize_invoice(
                invoice, params={"auto_advance": True}, options={"idempotency_key": key}
            )
            .id
        )


def retrieve_invoice(invoice: str) -> StripeInvoice:
    """An invoice as Stripe has it now."""
    with _speaking():
        found = _client().v1.invoices.retrieve(invoice)
    paid_at = found.status_transitions.paid_at if found.status_transitions else None
    return StripeInvoice(
        id=str(found.id),
        status=str(found.status),
        customer=found.customer
        if isinstance(found.customer, str)
        else str(getattr(found.customer, "id", "")),
        currency=found.currency,
        total=found.total,
        amount_due=found.amount_due,
        attempted=bool(found.attempted),
        paid_at=datetime.fromtimestamp(paid_at, UTC) if paid_at else None,
    )


def verify_webhook(body: bytes, signature: str, secrets: Sequence[str]) -> WebhookEvent:
    """The event in a webhook's body, signed with one of the secrets (two while one is replaced), or
    BadSignature."""
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body.decode(), signature, secret, tolerance=_TOLERANCE)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            continue
        return _event(body)
    raise BadSignature


def mirror(payload: Mapping[str, Any]) -> str:
    """Let dj-stripe bring its copy of an event's object up to date; what kept it from it, or nothing.

    The copy is for looking at. Nothing of ours is decided by it, so its troubles stop nothing.
    """
    try:
        with transaction.atomic():
            Event.process(payload)
    except stripe.StripeError as error:
        return f"not mirrored: {type(error).__name__}"
    except Exception as error:
        log.warning("event %s not mirrored", payload.get("id"), exc_info=True)
        return f"not mirrored: {type(error).__name__}"
    return ""


def _noted(thing: Any, name: str) -> str | None:
    """What we wrote into an object's metadata under a name."""
    metadata: dict[str, str] = thing.metadata or {}
    return dict(metadata).get(name)


def _event(body: bytes) -> WebhookEvent:
    try:
        payload = orjson.loads(body)
        return WebhookEvent(
            id=str(payload["id"])[:64],
            type=str(payload["type"])[:80],
            object_id=str(payload["data"]["object"].get("id") or "")[:64],
            created=datetime.fromtimestamp(payload["created"], UTC),
            livemode=bool(payload["livemode"]),
            account=str(payload.get("account") or "")[:64],
            payload=payload,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadSignature from None


def _client() -> stripe.StripeClient:
    return _client_at(settings.STRIPE_SECRET_KEY or "", settings.STRIPE_API_BASE or "")


@cache
def _client_at(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=settings.STRIPE_API_VERSION,
        base_addresses={"api": base} if base else None,
        # Tickets repeat what failed, with the same key; one quick repetition saves most of them.
        max_network_retries=1,
        http_client=stripe.RequestsClient(timeout=_TIMEOUT),
    )


@contextmanager
def _speaking() -> Iterator[None]:
    """Sort what can go wrong into what is tried again and what somebody has to look at."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as away:
        raise StripeAway(type(away).__name__) from away
    except stripe.StripeError as error:
        if error.http_status is None or error.http_status >= 500 or error.http_status == 409:
            raise StripeAway(f"status {error.http_status}") from error
        raise StripeRefused(str(error.user_message or error)[:300].rstrip(".")) from error
