"""What waits on disk is known to everybody who would otherwise take the ledger for complete."""

from uuid import UUID

from apps.ai_usage.ledger.records import Record
from apps.ai_usage.ledger.spool import Spool
from apps.tenancy.types import TenantRef, TenantState

TENANT = TenantRef(
    id=UUID(int=1), ref="abcdefgh", slug="", name="", schema="t_abcdefgh", state=TenantState.READY
)


def test_what_another_process_spooled_is_seen_until_it_is_replayed(tmp_path):
    dead, alive = Spool(tmp_path, limit=1000), Spool(tmp_path, limit=1000)
    assert not alive.holds_anything()

    dead.append([Record(TENANT, {"id": "1"})])
    beforehand = (alive.is_empty, alive.holds_anything())
    dead.rotate()  # as its death does, this frees the file
    (left,) = alive.to_replay()
    records = [record.call for record in Spool.read(left)]
    alive.remove(left)

    assert beforehand == (True, True)
    assert records == [{"id": "1"}]
    assert not alive.holds_anything()
