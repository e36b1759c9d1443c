"""When and from where keys were last used: noted in memory per call, written twice a minute per tenant."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from apps.keys.services import record_use
from apps.keys.types import KeyUse, Principal
from apps.tenancy.errors import TenantNotReady
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef

log = logging.getLogger(__name__)


class LastUses:
    """The latest use of each key since the last writing. A process that dies loses half a minute of them."""

    def __init__(self) -> None:
        self._noted: dict[UUID, tuple[TenantRef, dict[UUID, KeyUse]]] = {}
        self._writer: asyncio.Task[None] | None = None

    def note(self, principal: Principal, *, at: datetime, address: str, agent: str) -> None:
        """A call came with this key. Costs a dictionary entry."""
        tenant = principal.tenant
        noted = self._noted.get(tenant.id)
        if noted is None:
            noted = self._noted[tenant.id] = (tenant, {})
        noted[1][principal.key_id] = KeyUse(principal.key_id, at, address, agent)

    def start(self) -> None:
        """Write from now on, every so often."""
        self._writer = asyncio.get_running_loop().create_task(self._write_on())

    async def stop(self) -> None:
        """Write what is noted, and no more."""
        if self._writer is not None:
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer
        await self.write()

    async def write(self) -> None:
        """Write what was noted since the last time."""
        noted, self._noted = self._noted, {}
        if noted:
            await asyncio.to_thread(_write, list(noted.values()))

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(settings.GATEWAY_LAST_USE_SECONDS)
            await self.write()


def _write(noted: list[tuple[TenantRef, dict[UUID, KeyUse]]]) -> None:
    try:
        for tenant, uses in noted:
            try:
                with in_tenant(tenant):
                    record_use(list(uses.values()))
            except (DatabaseError, InterfaceError, TenantNotReady) as error:
                # Not worth keeping: a key that is in use is noted again.
                log.warning("last uses of keys of %s not written: %s", tenant.slug, error)
    finally:
        connection.close()
