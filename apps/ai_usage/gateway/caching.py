"""Answers to identical requests from memory, for tenants that switched it on.

An entry belongs to one tenant and environment, and to the rules in force: any change of the plan, of routes, prices
or policies makes new entries, and a new key does not. Identical is a request with the same bytes. A hit is admitted,
counted and recorded like any call, at no cost and at the share of the price that the plan says. Valkey holds entries
encrypted, each with its end, and at most so many bytes for a tenant; where it is away, every call is a miss.
"""

import hashlib
import logging
import re
import time
from dataclasses import fields
from typing import Any

import orjson
from django.conf import settings
from uuid_utils.compat import uuid7

from apps.ai_usage import hosted_tools, metrics
from apps.ai_usage.cached_answers import cached_answer_percent
from apps.ai_usage.gateway import answer_store, replies
from apps.ai_usage.gateway.cached import CacheUse
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.metering import AttemptLog, Metered, Reported
from apps.ai_usage.gateway.process import now
from apps.ai_usage.gateway.replies import Send
from apps.ai_usage.gateway.snapshots import KeySnapshot, TenantSnapshot
from apps.ai_usage.normalise import Endpoint

log = logging.getLogger(__name__)

# Headers that change what a provider answers.
_MEANING = (b"anthropic-version", b"anthropic-beta", b"openai-beta")
_MAX_AGE = re.compile(rb"max-age=(\d{1,9})\Z")


def begin(call: Call) -> CacheUse | None:
    """What the admitted call may do with its tenant's cache; None where the tenant does not cache this model."""
    caller, request, admitted = call.caller, call.request, call.admitted
    assert caller is not None and admitted is not None
    rule = caller.snapshot.answer_cache
    if rule is None or not rule.covers(request.model):
        return None
    use = CacheUse("", False, False, rule.seconds, settings.ANSWER_CACHE_LARGEST)
    # Without Valkey, or while settings change, nobody knows which epoch is in force. What a budget cut short is not
    # the answer to the request as it was asked.
    if (
        admitted.degraded
        or caller.is_fresh
        or admitted.is_clamped
        or hosted_tools.acts(request.parsed)
        or _is_personal(call)
    ):
        return use
    use.reads = use.writes = True
    for wish in request.headers.get(b"cache-control", b"").lower().split(b","):
        word = wish.strip()
        if word == b"no-store":
            return CacheUse("", False, False, rule.seconds, 0)
        if word == b"no-cache":
            use.reads = False
        elif (match := _MAX_AGE.match(word)) is not None:
            use.seconds = min(use.seconds, int(match[1]))
    use.name = _name(call)
    use.state = b"miss" if use.reads else b"bypass"
    return use


async def answered(call: Call, use: CacheUse, send: Send) -> bool:
    """Answer from the cache if it has the answer: True where that has been done."""
    if not use.reads:
        metrics.observe_cache(use.state)
        return False
    caller, permitted = call.caller, call.permitted
    assert caller is not None and permitted is not None
    entry = await answer_store.read(call.process.answers, caller.snapshot.tenant, use.name)
    target = None
    if entry is not None:
        use.age = max(0, int(time.time() - entry.head["at"]))
        named = (entry.head["provider"], entry.head["model"])
        target = next((one for one in permitted.targets if (one.provider, one.model) == named), None)
    if entry is None or target is None or use.age >= use.seconds:
        metrics.observe_cache(use.state)
        return False
    head = entry.head
    use.state, use.writes, use.origin, use.content_type = b"hit", False, head["call"], head["content_type"]
    attempt = AttemptLog(uuid7(), target, now(), status=200, outcome="ok")
    if call.claim is not None:
        call.claim.content_type = use.content_type
        call.claim.add(entry.answer)
    await call.repeated(attempt, Reported(**head["reported"]), price_percent(call))
    metrics.observe_cache(use.state)
    headers = [*replies.answer_headers(call, use.content_type.encode()), (b"age", str(use.age).encode())]
    await replies.send_body(send, 200, headers, entry.answer)
    return True


def keep(call: Call, use: CacheUse, attempt: AttemptLog, reported: Reported, metered: Metered) -> None:
    """Remember a whole answer that has been recorded, without making anybody wait for it."""
    caller = call.caller
    assert caller is not None
    event = metered.event
    if not use.writes or event["usage_source"] != "provider" or event["anomaly"]:
        return
    answer = use.answer()
    if not answer or not _is_complete(call, answer):
        return
    head: dict[str, Any] = {
        "at": time.time(),
        "call": str(call.log.id),
        "provider": attempt.target.provider,
        "model": attempt.target.model,
        "content_type": use.content_type,
        "reported": {
            "raw_usage": reported.raw_usage,
            "model": reported.model,
            "service_tier": reported.service_tier,
        },
    }
    rule = caller.snapshot.answer_cache
    assert rule is not None
    # A caller's max-age says what it takes, not how long others may.
    work = answer_store.write(
        call.process.answers, caller.snapshot.tenant, use.name, head, answer, rule.seconds
    )
    call.process.in_background(work)


def _is_personal(call: Call) -> bool:
    # The data boundary took values out of the request that it puts back into this answer, or could not look.
    inspection = call.inspection
    return inspection is not None and (inspection.redactor.restorable or bool(inspection.uninspected))


def price_percent(call: Call) -> int:
    """What a repeated answer costs of a call's price: by plan or tenant, otherwise by the operator's default."""
    assert call.caller is not None
    return cached_answer_percent(call.caller.snapshot.entitlements)


def _is_complete(call: Call, answer: bytes) -> bool:
    # Responses say 200 also to what failed or was cut short.
    if call.request.endpoint is not Endpoint.RESPONSES or call.request.stream:
        return True
    return bool(orjson.loads(answer).get("status") == "completed")


# What says who calls, how much and since when, and not what is answered. Whatever else a snapshot comes to hold
# counts as a rule, so that forgetting one here makes misses and no wrong answer.
_NOT_RULES = frozenset(
    {
        "tenant",
        "epoch",
        "suspended_reason",
        "budgets",
        "catalogue",
        "book",
        "loaded_at",
        "keys",
        "answer_scope",
    }
)
_NOT_RULES_OF_A_KEY = frozenset({"principal", "limits"})


def _scope(snapshot: TenantSnapshot) -> bytes:
    # The catalogue's version moves with every route and price.
    rules = f"{snapshot.catalogue.version} ".encode() + _rules(snapshot, _NOT_RULES, snapshot.epoch)
    snapshot.answer_scope = hashlib.sha256(rules).digest()
    return snapshot.answer_scope


def _rules(snapshot: TenantSnapshot | KeySnapshot, others: frozenset[str], epoch: int) -> bytes:
    named = (field.name for field in fields(snapshot) if field.name not in others)
    said = "\n".join(f"{name}={getattr(snapshot, name)!r}" for name in named)
    # What does not say what it holds is told apart by the epoch that it was read in.
    return (f"{epoch} {said}" if " at 0x" in said else said).encode()


def _name(call: Call) -> str:
    caller, request = call.caller, call.request
    assert caller is not None
    snapshot = caller.snapshot
    said = hashlib.blake2b(key=answer_store.naming_key(snapshot.tenant), digest_size=24)
    for part in (
        caller.key.principal.environment.value.encode(),
        snapshot.answer_scope or _scope(snapshot),
        _rules(caller.key, _NOT_RULES_OF_A_KEY, snapshot.epoch),
        request.endpoint.value.encode(),
        request.dialect.encode(),
        *(request.headers.get(name, b"") for name in _MEANING),
        request.body,
    ):
        said.update(len(part).to_bytes(8, "big"))
        said.update(part)
    return said.hexdigest()
