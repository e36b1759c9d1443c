"""What a call costs as tenants, keys and ledger rows grow: processor time of the gateway, and throughput."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from tests.benchmarks import load
from tests.benchmarks.speed import Rounds, one_round
from tests.benchmarks.system import PATH, Server, System, body

_CALLED_KEYS = 100


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    size: int
    per_second: float
    cpu_microseconds: float
    p99_milliseconds: float


def over_tenants(system: System, server: Server, sizes: Sequence[int], seconds: float) -> Iterator[Point]:
    """The same load over more and more tenants."""
    secrets = [system.tenant["secret"]]
    for size in sizes:
        if size > len(secrets):
            made = system.more_tenants(len(secrets), size - len(secrets))
            secrets += [tenant["secret"] for tenant in made]
        yield _point(server, secrets, size, seconds)


def over_keys(system: System, server: Server, sizes: Sequence[int], seconds: float) -> Iterator[Point]:
    """The same load over keys of one tenant that has more and more of them."""
    schema = system.tenant["schema"]
    secrets = [system.tenant["secret"]]
    for size in sizes:
        if size > 1 and len(secrets) == 1:
            secrets += system.prepare("keys", schema, min(size, _CALLED_KEYS) - 1)
        has = _count(system, schema, "keys_apikey")
        _multiply(
            system,
            schema,
            "keys_apikey",
            size - has,
            id="gen_random_uuid()",
            key_id="substr(md5(random()::text || n), 1, 10)",
            digest="decode(md5(n::text) || md5(n::text), 'hex')",
        )
        yield _point(server, secrets, size, seconds)


def over_ledger_rows(system: System, server: Server, sizes: Sequence[int], seconds: float) -> Iterator[Point]:
    """The same load while the tenant's ledger has more and more events behind it, over a year."""
    schema = system.tenant["schema"]
    for size in sizes:
        has = _count(system, schema, "ai_usage_usageevent")
        _multiply(
            system,
            schema,
            "ai_usage_usageevent",
            size - has,
            id="uuidv7(- random() * interval '1 year')",
            call_id="uuidv7(- random() * interval '1 year')",
            occurred_at="now() - random() * interval '1 year'",
        )
        yield _point(
            server, [system.tenant["secret"]], _count(system, schema, "ai_usage_usageevent"), seconds
        )


def _point(server: Server, secrets: Sequence[str], size: int, seconds: float) -> Point:
    requests = [load.post(PATH, body("whole"), {"authorization": f"Bearer {secret}"}) for secret in secrets]
    # Each caller once, so that what is measured is what is remembered.
    load.run(server.port, requests, connections=8, most=max(len(requests), 200))
    rounds = Rounds()
    for _ in range(3):
        one_round(server, requests, rounds, 32, seconds)
    return Point(size, rounds.per_second, rounds.cpu_per_answer * 1e6, rounds.latency(0.99) * 1000)


def _count(system: System, schema: str, table: str) -> int:
    with psycopg.connect(system.services.superuser_url) as connection:
        row = connection.execute(f'SELECT count(*) FROM "{schema}"."{table}"').fetchone()
    assert row is not None
    return int(row[0])


def _multiply(system: System, schema: str, table: str, count: int, **changed: str) -> None:
    """Add copies of a table's first row with the columns `changed` to SQL expressions (of the copy's number n)."""
    if count <= 0:
        return
    with psycopg.connect(system.services.superuser_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
            " AND is_generated = 'NEVER'",
            (schema, table),
        ).fetchall()
        names = [name for (name,) in rows]
        values = ", ".join(changed.get(name, f'first."{name}"') for name in names)
        columns = ", ".join(f'"{name}"' for name in names)
        connection.execute(
            f'INSERT INTO "{schema}"."{table}" ({columns}) SELECT {values} '
            f'FROM (SELECT * FROM "{schema}"."{table}" LIMIT 1) first, generate_series(1, {count}) n'
        )
        connection.execute(f'VACUUM ANALYZE "{schema}"."{table}"')
        connection.execute("CHECKPOINT")
