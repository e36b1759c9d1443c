"""Where usage goes when it can go nowhere: it waits, nothing new begins, and nothing is lost."""

import asyncio
from datetime import UTC, datetime

import pytest
from psycopg_pool import AsyncConnectionPool
from uuid_utils.compat import uuid7

from apps.ai_usage.ledger.recorder import LedgerUnavailable, Recorder
from apps.ai_usage.ledger.records import Record
from apps.ai_usage.ledger.spool import Spool
from apps.tenancy.types import TenantRef, TenantState

NOBODY = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"


def record() -> Record:
    identity = uuid7()
    tenant = TenantRef(
        id=uuid7(), ref="abcdefgh", slug="", name="", schema="t_abcdefgh", state=TenantState.READY
    )
    return Record(tenant, {"id": identity, "started_at": datetime(2026, 11, 24, tzinfo=UTC)})


async def test_usage_that_can_be_written_nowhere_waits_until_it_can_be(tmp_path):
    directory = tmp_path / "spool"
    # A file where the directory should be: no append can succeed, and PostgreSQL is away as well.
    directory.write_text("")
    spool = Spool(directory, limit=1_000_000)
    pool = AsyncConnectionPool(NOBODY, min_size=0, max_size=1, timeout=0.2, open=False)
    await pool.open(wait=False)

    async def replayed(records: list[Record]) -> None:
        raise AssertionError(records)

    recorder = Recorder(pool, spool, replayed=replayed)
    recorder.start()
    recorder.check_room()
    kept = record()

    written = recorder.commit(kept)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(written), 1.5)
    with pytest.raises(LedgerUnavailable):
        recorder.check_room()
    directory.unlink()
    await asyncio.wait_for(written, 20)

    recorder.check_room()
    await recorder.stop()
    await pool.close()
    spool.rotate()
    (path,) = directory.glob("*.jsonl")
    assert {one.call["id"] for one in Spool.read(path)} == {str(kept.call["id"])}
