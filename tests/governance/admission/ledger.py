"""A ledger of usage events for tests of admission, in SQLite; read in one snapshot like the real one."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from apps.governance.admission.types import BudgetWindow, Level, Spent


class Ledger:
    """Events of calls: amount in nano-units, when admitted, whom they count for. In a file, processes share it."""

    def __init__(self, path: Path | None = None) -> None:
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=10)
        # Processes are killed here, not machines: nothing is lost without waiting for the disk.
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS event "
            "(tenant TEXT, call TEXT, amount INTEGER, at INTEGER, owner TEXT, parent TEXT, key TEXT)"
        )
        self.reads = 0

    def commit(
        self,
        tenant: str,
        call: str,
        amount: int,
        at: int,
        *,
        owner: str = "",
        parent: str = "",
        key: str = "",
    ) -> None:
        self._database.execute(
            "INSERT INTO event VALUES (?,?,?,?,?,?,?)", (tenant, call, amount, at, owner, parent, key)
        )

    def total(self, tenant: str, window: BudgetWindow | None = None) -> int:
        words: list[object] = [tenant]
        where = "tenant = ?"
        if window is not None:
            where += " AND at >= ? AND (? = 0 OR at < ?)"
            words += [window.start_ms, window.end_ms, window.end_ms]
            if window.limit.level is Level.OWNER:
                where += " AND owner = ?"
                words.append(window.limit.subject)
            elif window.limit.subject:
                where += " AND ? IN (key, parent)"
                words.append(window.limit.subject)
        row = self._database.execute(f"SELECT coalesce(sum(amount), 0) FROM event WHERE {where}", words)
        return int(row.fetchone()[0])

    def spent(self, tenant: str, budgets: Sequence[BudgetWindow], open_calls: Sequence[str]) -> Spent:
        self.reads += 1
        self._database.execute("BEGIN")
        amounts = {window.counter: self.total(tenant, window) for window in budgets}
        committed = self.amounts(tenant, open_calls)
        self._database.execute("COMMIT")
        return Spent(amounts, committed)

    def amounts(self, tenant: str, calls: Sequence[str]) -> dict[str, int]:
        marks = ",".join("?" * len(calls))
        rows = self._database.execute(
            f"SELECT call, sum(amount) FROM event WHERE tenant = ? AND call IN ({marks}) GROUP BY call",
            (tenant, *calls),
        )
        return dict(rows.fetchall())
