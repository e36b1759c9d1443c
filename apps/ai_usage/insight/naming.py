"""What the ids in sums of usage are called."""

from typing import Any
from uuid import UUID

from apps.ai_usage.insight.types import Grouping, UsageReport
from apps.keys.selectors import key_names, owner_names


def names_in(report: UsageReport) -> dict[str, dict[Any, str]]:
    """Names of the keys and owners of a report's rows, by grouping and id. Who was deleted has none."""
    found: dict[str, dict[Any, str]] = {}
    for grouping, read in ((Grouping.KEY, key_names), (Grouping.OWNER, owner_names)):
        if grouping in report.group_by:
            ids: set[UUID] = {row.group[grouping] for row in report.rows if row.group[grouping]}
            found[grouping.value] = read(ids) if ids else {}
    return found
