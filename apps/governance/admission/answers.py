"""What the scripts answer, in admission's own words."""

from typing import Any

from apps.governance.admission.ask import Ask
from apps.governance.admission.limits import CompiledLimits
from apps.governance.admission.types import Kind, LimitStanding, Peek, Refused


def refused_by(ask: Ask, reply: list[Any]) -> Refused:
    """The refusal in an answer of either script."""
    now, index, remaining, reset = reply[1:5]
    never = reset < 0
    return Refused(
        limit=ask.limits.limits[index - 1],
        remaining=remaining,
        reset_at=None if never else reset / 1000,
        retry_after=None if never else max(reset - now, 1) / 1000,
    )


def peeked(ask: Ask, compiled: CompiledLimits, reply: list[Any]) -> Peek:
    """The answer of the peek script."""
    standings = []
    for place, limit in enumerate(ask.limits.limits):
        first, second = reply[8 + 2 * place : 10 + 2 * place]
        if limit.kind is Kind.BUDGET:
            ends = compiled.windows[place + 1].end_ms
            left = limit.limit - first - second
            standings.append(LimitStanding(limit, left, first, second, ends / 1000 if ends else None))
        else:
            standings.append(LimitStanding(limit, first, reset_at=second / 1000 if second > 0 else None))
    refused = refused_by(ask, reply) if reply[2] else None
    return Peek(refused, reply[6], reply[7], tuple(standings))
