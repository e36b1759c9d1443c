"""Why a call went where it went: the short form in which the gateway writes it down, and its reading.

    {"targets": ["openai/gpt-4o"], "limits": [["tenant.requests_per_minute", "requests", 60, 59]],
     "held": 123, "asked": 4096, "granted": 812, "degraded": true, "refusal": "…",
     "shadow": [["key", 3, "tools", "the tool web_search is not allowed"]],
     "wishes": {"output": 4096, "tools": ["web_search"], "prompt": "…"},
     "found": {"request": {"email": 2}}, "blocked": ["iban"], "uninspected": ["response"]}

Amounts are in nano-units, and what says nothing is left out: it is stored with every call.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from apps.ai_usage.insight.types import AppliedLimit, Explanation, ShadowRefusal
from apps.governance.admission.ask import Admitted
from apps.governance.policies.decision import Finding

_NANO = Decimal(10) ** 9
_LONGEST_REFUSAL = 400
# What the client asked for, so that policies can be tried on the call later. Calls from before it was kept lack it.
WISHES = "wishes"


def explain(
    *,
    targets: Sequence[str] = (),
    skipped: Sequence[str] = (),
    admitted: Admitted | None = None,
    refusal: str = "",
    shadowed: Sequence[Finding] = (),
    repeated: str = "",
) -> dict[str, Any]:
    """What to store with a call. Runs once per call on the hot path."""
    said: dict[str, Any] = {}
    if targets:
        said["targets"] = list(targets)
    if skipped:
        said["skipped"] = list(skipped)
    if admitted is not None:
        limits: list[list[Any]] = []
        for unit, quota in (("requests", admitted.requests), ("tokens", admitted.tokens)):
            if quota is not None:
                limits.append([quota.limit.name, unit, quota.limit.limit, quota.remaining])
        for window, spent, reserved in admitted.budgets():
            limits.append(
                [
                    window.limit.name,
                    "tokens" if window.limit.counts_tokens else "money",
                    window.limit.limit,
                    window.limit.limit - spent - reserved,
                ]
            )
        if admitted.ask.limits.has_shadow and (shadow := admitted.would_have_refused):
            said["tried_out"] = list(shadow)
        if limits:
            said["limits"] = limits
        if admitted.hold_nano:
            said["held"] = admitted.hold_nano
        if admitted.is_clamped:
            said["asked"], said["granted"] = admitted.ask.output_tokens, admitted.granted_output_tokens
        if admitted.degraded:
            said["degraded"] = True
    if repeated:
        said["repeats"] = repeated
    if refusal:
        said["refusal"] = refusal[:_LONGEST_REFUSAL]
    if shadowed:
        said["shadow"] = [
            [found.policy.level.value, found.policy.version, found.rule.value, found.said[:_LONGEST_REFUSAL]]
            for found in shadowed
        ]
    return said


def read_explanation(stored: Mapping[str, Any]) -> Explanation:
    """What was stored with a call."""
    held = stored.get("held")
    return Explanation(
        targets=tuple(stored.get("targets", ())),
        skipped=tuple(stored.get("skipped", ())),
        limits=tuple(_limit(*entry) for entry in stored.get("limits", ())),
        held=None if held is None else Decimal(held) / _NANO,
        asked_output_tokens=stored.get("asked"),
        granted_output_tokens=stored.get("granted"),
        checked_without_valkey=bool(stored.get("degraded")),
        would_have_refused=tuple(stored.get("tried_out", ())),
        refusal=stored.get("refusal", ""),
        shadowed=tuple(ShadowRefusal(*entry) for entry in stored.get("shadow", ())),
        found=stored.get("found", {}),
        blocked=tuple(stored.get("blocked", ())),
        uninspected=tuple(stored.get("uninspected", ())),
        repeats=stored.get("repeats"),
        prompt=stored.get("prompt"),
    )


def _limit(name: str, unit: str, limit: int, left: int) -> AppliedLimit:
    scale = _NANO if unit == "money" else Decimal(1)
    return AppliedLimit(name, unit, Decimal(limit) / scale, Decimal(left) / scale)
