"""A ledger of usage events for tests of admission: a SQLite file or memory, read in one snapshot like the
real one.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from apps.governance.admission.types import BudgetWindow, Spent


class Ledger:
    """Events of calls: amount in nano-units, when admitted, and whom they count for. Shared by processes if
    in a file.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=10)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS event "
            "(tenant TEXT, call TEXT, amount INTEGER, at INTEGER, owner TEXT, key TEXT)"
        )
        self.reads = 0

    def commit(self, tenant: str, call: str, amount: int, at: int, owner: str = "", key: str = "") -> None:
        self._database.execute(
            "INSERT INTO event VALUES (?,?,?,?,?,?)", (tenant, call, amount, at, owner, key)
        )

    def total(self, tenant: str, window: BudgetWindow | None = None) -> int:
        words: list[object] = [tenant]
        where = "tenant = ?"
        if window is not None:
            where += " AND at >= ? AND (? = 0 OR at < ?)"
            words += [window.start_ms, window.end_ms, window.end_ms]
            if window.limit.subject:
                column = window.limit.name.partition(".")[0]
                where += f" AND {column} = ?"
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
