"""What a process remembers of tenants, keys, routes and prices, each valid for one epoch of the tenant."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection

from apps.ai_usage import selectors
from apps.ai_usage.price_book import PriceBook
from apps.ai_usage.types import Catalogue
from apps.governance import selectors as governance
from apps.governance.admission.limits import LimitSet
from apps.governance.content.keys import DataKey, usable_key
from apps.governance.data_boundary.policy import Boundary
from apps.governance.data_boundary.settings import boundary_in_force
from apps.governance.decision import Access, Decision, decide
from apps.governance.gates import may, mode
from apps.governance.limits import limits_of
from apps.governance.policies.decision import Policy, PolicySet
from apps.governance.prompts.using import UsablePrompt, usable_prompt
from apps.governance.types import NOTHING_BOUGHT, AnswerCacheRule, Entitlements, TenantBudget
from apps.keys import selectors as keys
from apps.keys.types import Principal
from apps.tenancy import selectors as tenancy
from apps.tenancy.services import in_public, in_tenant
from apps.tenancy.types import TenantRef, TenantState

T = TypeVar("T")
_MOST_KEYS = 100_000
_MOST_UNKNOWN = 10_000
_MOST_PROMPTS = 200
_UNKNOWN_TENANT_SECONDS = 5.0
_HOST_SECONDS = 1.0


@dataclass(slots=True)
class KeySnapshot:
    """One key as its tenant's epoch has it, with all the limits on its calls, encoded once."""

    principal: Principal
    limits: LimitSet
    # Why the plan has no room for a key of this sort; None where it has.
    not_included: Decision | None = None
    # None where no policy applies: then none is looked at.
    policies: PolicySet | None = None


@dataclass(slots=True)
class TenantSnapshot:
    """What decides about a tenant's calls. Replaced whole when the epoch moves; never changed in place."""

    tenant: TenantRef
    epoch: int
    suspended_reason: str
    entitlements: Entitlements
    budgets: tuple[TenantBudget, ...]
    catalogue: Catalogue
    book: PriceBook
    loaded_at: datetime
    # The rule for answers from memory; None where the tenant has them off.
    answer_cache: AnswerCacheRule | None = None
    # What names of kept answers are made with; worked out when first asked for (caching.py).
    answer_scope: bytes = b""
    keys: dict[str, KeySnapshot | None] = field(default_factory=dict)
    # The operator's bounds and the tenant's own policy; and whether any key or owner has one beside them.
    policies: tuple[Policy, ...] = ()
    has_policies_below: bool = False
    # What is done about personal data and secrets; None where nothing is.
    boundary: Boundary | None = None
    # Encrypts what is kept of prompts and answers; None where nothing is.
    content_key: DataKey | None = None
    # Prompts that calls have named, by id and by slug.
    prompts: dict[str, UsablePrompt | None] = field(default_factory=dict)
    # Whether the tenant may have models called at all, decided once for the epoch.
    may_call: Decision = field(init=False)

    def __post_init__(self) -> None:
        self.may_call = decide(self.entitlements, state=self.tenant.state, mode=mode(), access=Access.CALL)


class Snapshots:
    """The process's memory. Database reads run in threads of their own, once for all who wait for the same."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="snapshots")
        self._tenants: dict[str, TenantSnapshot] = {}
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._loading: dict[Any, asyncio.Task[Any]] = {}
        self._catalogue: Catalogue | None = None
        self._books: dict[UUID, PriceBook] = {}
        self._key_count = 0
        self._hosts: dict[str, tuple[float, TenantRef]] = {}

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def remembered(self, ref: str) -> TenantSnapshot | None:
        """The tenant's snapshot if there is one, fresh or stale: admission tells."""
        return self._tenants.get(ref)

    def all(self) -> list[TenantSnapshot]:
        """Every tenant's snapshot."""
        return list(self._tenants.values())

    def forget(self, ref: str | None = None) -> None:
        """Drop a tenant's snapshot, or all of them."""
        if ref is None:
            self._tenants.clear()
            self._key_count = 0
        else:
            self._tenants.pop(ref, None)

    async def tenant_ref(self, ref: str) -> TenantRef | None:
        """The tenant of a key's fragment; a fragment that nobody has is remembered for a moment."""
        until = self._unknown.get(ref)
        if until is not None and until > time.monotonic():
            return None
        found = await self._once(("ref", ref), partial(tenancy.tenant_by_ref, ref))
        if found is None:
            self._unknown[ref] = time.monotonic() + _UNKNOWN_TENANT_SECONDS
            if len(self._unknown) > _MOST_UNKNOWN:
                self._unknown.popitem(last=False)
        return found

    async def host(self, host: str) -> TenantRef | None:
        """The tenant whose host this is. Read afresh once a second at most: a key decides, a host only narrows."""
        known = self._hosts.get(host)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        found = await self._once(("host", host), partial(tenancy.tenant_for_host, host))
        if found is not None:
            if len(self._hosts) > _MOST_UNKNOWN:
                self._hosts.clear()
            self._hosts[host] = (time.monotonic() + _HOST_SECONDS, found)
        return found

    async def load(self, tenant: TenantRef, epoch: int, *, keep: bool) -> TenantSnapshot:
        """Read the tenant from the database. `epoch` was read before, so what is read is no older than it.

        While a writer is between its change and its commit the snapshot is used once and not kept.
        """
        known = self._tenants.get(tenant.ref)
        if known is not None and known.epoch == epoch and keep:
            return known
        loaded: TenantSnapshot = await self._once(
            ("tenant", tenant.ref, epoch, keep), partial(self._read_tenant, tenant, epoch)
        )
        if keep:
            if self._key_count > _MOST_KEYS:
                self.forget()
            self._tenants[tenant.ref] = loaded
        return loaded

    async def key(self, snapshot: TenantSnapshot, key_id: str) -> KeySnapshot | None:
        """A key of the tenant as of the snapshot's epoch; None where there is no such usable key."""
        if key_id in snapshot.keys:
            return snapshot.keys[key_id]
        loaded = await self._once(
            ("key", snapshot.tenant.ref, snapshot.epoch, key_id), partial(_read_key, snapshot, key_id)
        )
        if len(snapshot.keys) > _MOST_KEYS:
            snapshot.keys.clear()
        snapshot.keys[key_id] = loaded
        self._key_count += 1
        return loaded

    async def prompt(self, snapshot: TenantSnapshot, ref: str) -> UsablePrompt | None:
        """A prompt of the tenant as of the snapshot's epoch, read when a call first names it."""
        if ref in snapshot.prompts:
            return snapshot.prompts[ref]
        loaded: UsablePrompt | None = await self._once(
            ("prompt", snapshot.tenant.ref, snapshot.epoch, ref), partial(_read_prompt, snapshot, ref)
        )
        if len(snapshot.prompts) >= _MOST_PROMPTS:
            snapshot.prompts.clear()
        snapshot.prompts[ref] = loaded
        return loaded

    async def _once(self, what: Any, read: Callable[[], T]) -> T:
        task = self._loading.get(what)
        if task is None:
            loop = asyncio.get_running_loop()
            task = loop.create_task(self._in_thread(read))
            self._loading[what] = task
            task.add_done_callback(lambda _: self._loading.pop(what, None))
        return await asyncio.shield(task)

    async def _in_thread(self, read: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _reading, read)

    def _read_tenant(self, tenant: TenantRef, epoch: int) -> TenantSnapshot:
        current = tenancy.tenant_by_id(tenant.id)
        with in_public():
            catalogue = self._catalogue
            version = selectors.catalogue_version()
            if catalogue is None or catalogue.version != version:
                catalogue = self._catalogue = selectors.catalogue(version)
                self._books = {}
        if current.state not in (TenantState.READY, TenantState.SUSPENDED):
            return _empty(current, epoch, catalogue)
        with in_tenant(current):
            entitlements = governance.entitlements()
            budgets = tuple(governance.budgets())
            policies, has_policies_below = governance.policies_of_tenant()
            boundary = boundary_in_force()
            caching = governance.answer_cache()
            keeps = boundary is not None and boundary.retention_days is not None
            keeps = keeps and may("data_boundary", entitlements=entitlements).allowed
            content_key = usable_key() if keeps else None
        with in_public():
            book = self._books.get(entitlements.price_list)
            if book is None:
                book = self._books[entitlements.price_list] = selectors.price_book(entitlements.price_list)
        reason = tenancy.suspension_reason(tenant.id) if current.state is TenantState.SUSPENDED else ""
        return TenantSnapshot(
            current,
            epoch,
            reason,
            entitlements,
            budgets,
            catalogue,
            book,
            datetime.now(UTC),
            policies=policies,
            has_policies_below=has_policies_below,
            boundary=boundary,
            answer_cache=caching if caching.enabled and settings.ANSWER_CACHE_LONGEST_SECONDS else None,
            content_key=content_key,
        )


def _empty(tenant: TenantRef, epoch: int, catalogue: Catalogue) -> TenantSnapshot:
    return TenantSnapshot(tenant, epoch, "", NOTHING_BOUGHT, (), catalogue, PriceBook(()), datetime.now(UTC))


def _read_key(snapshot: TenantSnapshot, key_id: str) -> KeySnapshot | None:
    if not snapshot.tenant.is_served:
        return None
    policies = snapshot.policies
    with in_tenant(snapshot.tenant):
        principal = keys.load_principal(snapshot.tenant, key_id)
        if principal is None:
            return None
        if snapshot.has_policies_below:
            policies += governance.policies_of_key(
                owner_kind=principal.owner_kind.value,
                owner_id=principal.owner_id,
                key_id=principal.key_id,
                parent_id=principal.parent_id,
            )
    asked = [may(gate, entitlements=snapshot.entitlements) for gate in principal.gates]
    return KeySnapshot(
        principal,
        limits_of(snapshot.tenant, snapshot.entitlements, snapshot.budgets, principal),
        next((decision for decision in asked if not decision.allowed), None),
        PolicySet(policies) if policies else None,
    )


def _read_prompt(snapshot: TenantSnapshot, ref: str) -> UsablePrompt | None:
    with in_tenant(snapshot.tenant):
        return usable_prompt(ref)


def _reading(read: Callable[[], T]) -> T:
    try:
        return read()
    finally:
        connection.close()
