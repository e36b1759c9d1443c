"""Whether a caller may make this call at all: standing, scope, plan and key, before any limit is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from apps.ai_usage import bodies, hosted_tools, money_bounds
from apps.ai_usage.gateway import foreign, policies
from apps.ai_usage.gateway.callers import Caller
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.refusals import refused_by_plan
from apps.ai_usage.gateway.requests import ModelRequest
from apps.ai_usage.gateway.steps import Steps
from apps.ai_usage.normalise import Endpoint, input_bound
from apps.ai_usage.price_book import PriceBook
from apps.ai_usage.tariffs import Tariff
from apps.ai_usage.types import RoutePlan, Target
from apps.governance.policies.decision import Finding

SCOPE = "inference:write"


@dataclass(slots=True)
class Permitted:
    """A call that may be asked for: where it may go, and the most it can use."""

    route: RoutePlan
    targets: list[Target]
    tariffs: list[Tariff]
    input_tokens: int
    output_tokens: int
    choices: int
    input_nano: int
    output_price_pico: int
    currency: str
    # The most tokens of an answer by policy, where the caller named no limit; it is written into the request.
    output_cap: int | None = None
    # What policies in shadow would have refused.
    shadowed: Sequence[Finding] = ()


def check_standing(caller: Caller, steps: Steps | None = None) -> None:
    """Refuse a caller whose tenant may not call models now, or whose key may not."""
    snapshot = caller.snapshot
    if steps is not None:
        steps.begin("standing", "The tenant may have models called, and its plan has room for such a key.")
    refused = caller.key.not_included if snapshot.may_call.allowed else snapshot.may_call
    if refused is not None:
        raise refused_by_plan(refused, snapshot)
    if steps is not None:
        steps.begin("scope", f"The key has the scope {SCOPE}.")
    if SCOPE not in caller.key.principal.scopes:
        raise Refusal(
            Kind.PERMISSION, "scope_missing", f"This key lacks the scope {SCOPE}. Use a key that has it."
        )


def permit(caller: Caller, request: ModelRequest, at: datetime, steps: Steps | None = None) -> Permitted:
    """Refuse what plan, key, prices or policies do not allow; otherwise say where the call may go and its bounds."""
    check_standing(caller, steps)
    route = route_of(caller, request.model, steps)
    if steps is not None:
        steps.begin("dialect", "A provider of the model can be asked this.")
    speaking = [target for target in route.targets if target.dialect == request.dialect]
    if len(speaking) != len(route.targets):
        speaking = foreign.reachable(request, route, speaking)
    if steps is not None:
        steps.begin("price", "The model, and the provider's tools that it may use, have a price on the plan.")
    book = caller.snapshot.book
    targets, tariffs = [], []
    tool_calls = hosted_tools.most_calls(request.endpoint, request.parsed, settings.GATEWAY_TOOL_CALLS)
    for target in speaking:
        found = book.tariffs(target.provider, target.model, at)
        if found and (not tool_calls or any(tariff.prices_requests for tariff in found)):
            targets.append(target)
            tariffs += found
    if not targets:
        if tool_calls and any(book.tariffs(target.provider, target.model, at) for target in speaking):
            raise Refusal(
                Kind.NOT_FOUND,
                "tool_not_priced",
                f"Web searches of {request.model} have no price on your plan, so they cannot be used. "
                "Leave the tool out, or contact the operator.",
                param="tools",
            )
        raise Refusal(
            Kind.NOT_FOUND,
            "model_not_priced",
            f"{request.model} has no price on your plan, so it cannot be used. Contact the operator.",
            param="model",
        )
    output_cap: int | None = None
    shadowed: Sequence[Finding] = ()
    if caller.key.policies is not None:
        findings = None
        if steps is not None:
            steps.begin("policies")
            findings = steps.findings
        judged = policies.judge(caller.key.policies, request, targets, at, steps=findings)
        output_cap, shadowed = judged.output_cap, judged.shadowed
        if len(judged.targets) != len(targets):
            if steps is not None:
                steps.begin("dialect", "A provider that policies leave can be asked this.")
            targets, tariffs = _fewer(request, route, judged.targets, book, at)
    media = bodies.remote_media(request.body)
    input_tokens = input_bound(request_bytes=len(request.body), remote_media=media)
    choices, output_tokens = 1, 0
    if request.endpoint is not Endpoint.EMBEDDINGS:
        if request.endpoint is Endpoint.CHAT_COMPLETIONS:
            choices = bodies.choices_asked(request.parsed)
        asked = bodies.output_asked(request.endpoint, request.parsed)
        output_tokens = (
            min((asked or route.max_output_tokens), output_cap or 10_000_000, 10_000_000) * choices
        )
    bound = money_bounds.bound(tariffs, input_tokens, tool_calls)
    return Permitted(
        route,
        targets,
        tariffs,
        input_tokens,
        output_tokens,
        choices,
        bound.input_nano,
        bound.output_pico,
        tariffs[0].currency,
        output_cap,
        shadowed,
    )


def _fewer(
    request: ModelRequest, route: RoutePlan, left: Sequence[Target], book: PriceBook, at: datetime
) -> tuple[list[Target], list[Tariff]]:
    """Those targets alone that policies leave, with their tariffs; Refusal where none can be asked this."""
    if not any(target.dialect == request.dialect for target in left):
        foreign.reachable(request, route, [])
    return list(left), [rate for target in left for rate in book.tariffs(target.provider, target.model, at)]


def route_of(caller: Caller, model: str, steps: Steps | None = None) -> RoutePlan:
    """The route of a public model name, if plan and key allow it."""
    snapshot, principal = caller.snapshot, caller.key.principal
    if steps is not None:
        steps.begin("model", f"There is a route of the name {model}.")
    route = snapshot.catalogue.routes.get(model)
    if route is None or not route.targets:
        raise Refusal(
            Kind.NOT_FOUND,
            "model_not_found",
            f"There is no model {model!r}. `GET /v1/models` lists those you can use.",
            param="model",
        )
    if steps is not None:
        steps.begin("plan_models", f"The plan {snapshot.entitlements.plan} includes the model.")
    if not snapshot.entitlements.may_use_model(model):
        raise Refusal(
            Kind.PERMISSION,
            "model_not_in_plan",
            f"Your plan {snapshot.entitlements.plan} does not include {model}. Choose another model or plan.",
            param="model",
        )
    if steps is not None:
        steps.begin(
            "key_models",
            "The model is on the key's list."
            if principal.models_allowed
            else "The key has no list of models.",
        )
    if principal.models_allowed and model not in principal.models_allowed:
        raise Refusal(
            Kind.PERMISSION,
            "model_not_allowed_for_key",
            f"This key may not use {model}. It may use {', '.join(sorted(principal.models_allowed))}.",
            param="model",
        )
    return route
