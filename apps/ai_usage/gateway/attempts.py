"""One policy for all tries of a call: which target, how long, how often, and what its failure means."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum

import orjson

from apps.ai_usage.gateway.breakers import Breakers
from apps.ai_usage.types import RoutePlan, Target

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0


class Verdict(Enum):
    """What an attempt's failure means for the next."""

    RETRY = "retry"  # the same target may do better in a moment
    ELSEWHERE = "elsewhere"  # this target will say the same again, another may not
    ANSWER = "answer"  # the caller's own mistake: the provider's answer is the answer


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: a stable word for the ledger, and what to do."""

    outcome: str
    verdict: Verdict
    retry_after: float | None = None
    # Whether the target itself is at fault, which is what breakers count.
    counts_against_target: bool = True


CONNECT = Failure("connect", Verdict.RETRY)
TIMEOUT = Failure("timeout", Verdict.RETRY)
CUT = Failure("cut", Verdict.RETRY)
BAD_ANSWER = Failure("bad_answer", Verdict.ELSEWHERE)

_CONTEXT_CODES = {"context_length_exceeded", "string_above_max_length"}
_CONTENT_CODES = {"content_filter", "content_policy_violation"}


def failure_of(status: int, headers: dict[str, str], body: bytes, now: datetime) -> Failure:
    """What a provider's error answer means. Bodies are looked at only for what a status cannot say."""
    after = retry_after(headers, now)
    if status < 300:
        # Accepted, empty, partial, another protocol: a success that is not the answer that was asked for.
        return BAD_ANSWER
    if status == 429:
        if _code(body) == "insufficient_quota":
            # The operator's own account is out of money: waiting will not help.
            return Failure("provider_quota", Verdict.ELSEWHERE)
        return Failure("rate_limited", Verdict.RETRY, after)
    if status in (500, 502, 503, 504, 529):
        return Failure("overloaded" if status in (503, 529) else "server_error", Verdict.RETRY, after)
    if status in (408, 409):
        return Failure("timeout" if status == 408 else "conflict", Verdict.RETRY, after)
    if status in (401, 403):
        return Failure("provider_refused_us", Verdict.ELSEWHERE)
    if status == 404:
        return Failure("provider_lacks_model", Verdict.ELSEWHERE)
    if 300 <= status < 400:
        return Failure("redirect", Verdict.ELSEWHERE)
    if status in (400, 413, 422):
        code = _code(body)
        if code in _CONTEXT_CODES or status == 413 or b"prompt is too long" in body[:4096]:
            return Failure("context_too_long", Verdict.ELSEWHERE, counts_against_target=False)
        if code in _CONTENT_CODES:
            return Failure("content_policy", Verdict.ELSEWHERE, counts_against_target=False)
    return Failure("invalid_request", Verdict.ANSWER, counts_against_target=False)


def _code(body: bytes) -> str:
    try:
        error = orjson.loads(body)["error"]
        return str(error.get("code") or error.get("type") or "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return ""


def retry_after(headers: dict[str, str], now: datetime) -> float | None:
    """Seconds a provider asks us to wait, from `retry-after-ms` or `retry-after` (seconds or an HTTP date)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def in_order(targets: list[Target], dialect: str) -> list[Target]:
    """Targets as they are to be tried: of the client's own dialect, then by priority, equal ones shuffled by weight."""
    if len(targets) == 1:
        return targets
    groups: dict[tuple[bool, int], list[Target]] = {}
    for target in targets:
        groups.setdefault((target.dialect != dialect, target.priority), []).append(target)
    ordered: list[Target] = []
    for priority in sorted(groups):
        group = groups[priority]
        while group:
            weights = [max(target.weight, 0) or 1e-9 for target in group]
            picked = random.choices(group, weights)[0]  # noqa: S311  (sharing load, no secret)
            group.remove(picked)
            ordered.append(picked)
    return ordered


class Plan:
    """The sequence of tries for one call: rounds over the targets until tries or waiting time are used up."""

    def __init__(self, route: RoutePlan, targets: list[Target], breakers: Breakers, dialect: str) -> None:
        self._route = route
        self._breakers = breakers
        self._left = in_order(targets, dialect)
        self._tries = 0
        self._waiting = route.retry_seconds
        self._spared: dict[str, float] = {}
        # Targets that were left alone because they kept failing, for whoever asks why a call went elsewhere.
        self.skipped: dict[str, None] = {}
        self._position = 0

    def next(self) -> tuple[Target, float] | None:
        """The next target and how long to wait first; None when there is nothing left to try."""
        if self._tries >= max(self._route.attempts, 1) or not self._left:
            return None
        for target, is_last in self._candidates():
            # When every target is left alone, the first call still goes out: a refusal would be certain failure.
            if not self._breakers.allows(target) and not (is_last and self._tries == 0):
                self.skipped[target.name] = None
                continue
            pause = self._spared.pop(target.name, 0.0)
            if pause > self._waiting:
                continue
            self._waiting -= pause
            self._tries += 1
            return target, pause
        return None

    def _candidates(self) -> Iterator[tuple[Target, bool]]:
        count = len(self._left)
        for step in range(count):
            yield self._left[(self._position + step) % count], step == count - 1

    def failed(self, target: Target, failure: Failure) -> None:
        """Take a failure into account for what comes next."""
        if failure.verdict is Verdict.ELSEWHERE:
            self._left.remove(target)
            return
        if len(self._left) > 1:
            self._position = (self._left.index(target) + 1) % len(self._left)
        backoff = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self._tries - 1)) * random.uniform(0.5, 1.0)  # noqa: S311
        self._spared[target.name] = max(failure.retry_after or 0.0, backoff)
