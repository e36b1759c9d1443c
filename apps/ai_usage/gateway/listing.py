"""The endpoints around model calls: which models a key may use, and counting tokens before a call."""

import time
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from apps.ai_usage.gateway import inspection, policies, replies, upstream
from apps.ai_usage.gateway.attempts import Plan, Verdict, failure_of
from apps.ai_usage.gateway.callers import Caller, fragment, identify
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.process import GatewayProcess, now
from apps.ai_usage.gateway.refusals import exhausted, refused_by_limit
from apps.ai_usage.gateway.replies import Send
from apps.ai_usage.gateway.requests import (
    ModelRequest,
    Receive,
    Scope,
    headers_of,
    parse_json,
    read_body,
)
from apps.ai_usage.gateway.rules import check_standing, route_of
from apps.ai_usage.normalise import Endpoint
from apps.ai_usage.types import RoutePlan, Target
from apps.governance.admission.ask import Ask
from apps.governance.admission.types import Refused, Stale

_MOST_RELOADS = 8


async def current_caller(process: GatewayProcess, scope: Scope) -> Caller:
    """The caller by what is true now: one look at the tenant's epoch, a reload where it has moved."""
    headers = headers_of(scope)
    epoch: int | None = None
    dirty = False
    for _ in range(_MOST_RELOADS):
        try:
            caller = await identify(process, scope, headers, now(), epoch=epoch, dirty=dirty)
        except Refusal:
            ref = fragment(headers)
            remembered = process.snapshots.remembered(ref) if ref else None
            if epoch is not None or remembered is None:
                raise
            epoch, dirty = await process.epoch(remembered.tenant)
            if epoch is None or epoch == remembered.epoch:
                raise
            continue
        if caller.is_fresh:
            return caller
        epoch, dirty = await process.epoch(caller.snapshot.tenant)
        if epoch is None:
            process.snapshots.forget(caller.snapshot.tenant.ref)
        elif epoch == caller.snapshot.epoch and not dirty:
            return caller
    raise Refusal(
        Kind.UNAVAILABLE, "settings_changing", "Settings are being changed. Try again.", retry_after=1
    )


async def models(
    process: GatewayProcess, call_id: UUID, path: str, dialect: str, scope: Scope, send: Send
) -> None:
    """`GET /v1/models` and `/v1/models/{name}`: what this key may use and what has a price on its plan."""
    if scope["method"] != "GET":
        raise Refusal(Kind.METHOD, "method_not_allowed", "Use GET here.", headers=((b"allow", b"GET"),))
    caller = await current_caller(process, scope)
    check_standing(caller)
    at = now()
    usable = [route for route in caller.snapshot.catalogue.routes.values() if _is_usable(caller, route, at)]
    name = path.removeprefix("/v1/models").strip("/")
    if name:
        route = route_of(caller, name)
        if caller.key.policies is not None and (
            refusal := policies.refuse_model(caller.key.policies, route, at)
        ):
            raise refusal
        if route not in usable:
            raise Refusal(
                Kind.NOT_FOUND, "model_not_priced", f"{name} has no price on your plan.", param="model"
            )
        document = _described(route, dialect)
    else:
        listed = [_described(route, dialect) for route in usable]
        document = {"object": "list", "data": listed}
        if dialect == "anthropic":
            ends = {
                "first_id": listed[0]["id"] if listed else None,
                "last_id": listed[-1]["id"] if listed else None,
            }
            document = {"data": listed, "has_more": False, **ends}
    headers = [*replies.request_ids(call_id), (b"content-type", b"application/json")]
    await replies.send_body(send, 200, headers, orjson.dumps(document))


def _is_usable(caller: Caller, route: RoutePlan, at: datetime) -> bool:
    principal, book = caller.key.principal, caller.snapshot.book
    if not caller.snapshot.entitlements.may_use_model(route.model):
        return False
    if principal.models_allowed and route.model not in principal.models_allowed:
        return False
    if caller.key.policies is not None and policies.refuse_model(caller.key.policies, route, at):
        return False
    return any(book.tariffs(target.provider, target.model, at) for target in route.targets)


def _described(route: RoutePlan, dialect: str) -> dict[str, Any]:
    if dialect == "anthropic":
        return {
            "type": "model",
            "id": route.model,
            "display_name": route.model,
            "created_at": "2026-01-01T00:00:00Z",
        }
    owner = route.targets[0].provider if route.targets else "lockstep"
    return {"id": route.model, "object": "model", "created": 1767225600, "owned_by": owner}


async def count_tokens(
    process: GatewayProcess, call_id: UUID, scope: Scope, receive: Receive, send: Send
) -> None:
    """`POST /v1/messages/count_tokens`: free of charge, under the request rate, nothing recorded."""
    if scope["method"] != "POST":
        raise Refusal(Kind.METHOD, "method_not_allowed", "Use POST here.", headers=((b"allow", b"POST"),))
    began = time.monotonic()
    headers = headers_of(scope)
    body = await read_body(headers, receive)
    parsed = parse_json(headers, body)
    model = parsed.get("model")
    if type(model) is not str or type(parsed.get("messages")) is not list:
        raise Refusal(Kind.INVALID, "model_required", "Give `model` and `messages`.", param="model")
    for _ in range(_MOST_RELOADS):
        caller = await current_caller(process, scope)
        check_standing(caller)
        route = route_of(caller, model)
        targets = _countable(
            caller, route, ModelRequest(Endpoint.MESSAGES, "anthropic", body, parsed, model, False, headers)
        )
        ask = Ask(call_id=call_id.hex, limits=caller.key.limits, epoch=caller.snapshot.epoch)
        admitted = await process.admit(caller.snapshot.tenant, ask)
        if isinstance(admitted, Refused):
            raise refused_by_limit(admitted)
        if not isinstance(admitted, Stale):
            break
    else:
        raise Refusal(
            Kind.UNAVAILABLE, "settings_changing", "Settings are being changed. Try again.", retry_after=1
        )
    if caller.snapshot.boundary is not None:
        body, parsed = await inspection.of_bytes(body, parsed, caller.snapshot.boundary)
    try:
        status, answered = await _counted(process, route, targets, body, parsed, headers, call_id, began)
    finally:
        process.release(admitted)
    common = [*replies.request_ids(call_id), (b"content-type", b"application/json")]
    await replies.send_body(send, status, common, answered)


def _countable(caller: Caller, route: RoutePlan, request: ModelRequest) -> list[Target]:
    """The targets that can count for this caller; Refusal where there is none."""
    targets = [target for target in route.targets if target.dialect == "anthropic"]
    if not targets:
        raise Refusal(
            Kind.INVALID, "other_dialect", f"{route.model} is served in another dialect.", param="model"
        )
    if caller.key.policies is None:
        return targets
    return list(policies.judge(caller.key.policies, request, targets, now(), for_counting=True).targets)


async def _counted(
    process: GatewayProcess,
    route: RoutePlan,
    targets: list[Target],
    body: bytes,
    parsed: dict[str, Any],
    headers: dict[bytes, bytes],
    call_id: UUID,
    began: float,
) -> tuple[int, bytes]:
    plan, last = Plan(route, targets, process.breakers, "anthropic"), None
    assert process.wire is not None
    while (step := plan.next()) is not None:
        target, _ = step
        try:
            sent = upstream.renamed(body, parsed, route.model, target)
            answer = await upstream.post(
                process.wire, route, target, "/messages/count_tokens", sent, headers, call_id.hex
            )
            if answer.status == 200:
                return 200, await upstream.read_all(answer, settings.GATEWAY_BODY_TIMEOUT)
            theirs = await upstream.read_error(answer)
            failure = failure_of(answer.status, answer.headers, theirs, now())
            if failure.verdict is Verdict.ANSWER:
                return answer.status, theirs
            last = (failure, f"answered {answer.status}")
        except upstream.UpstreamFailed as failed:
            failure, last = failed.failure, (failed.failure, failed.reason)
        plan.failed(target, failure)
    raise exhausted(last)
