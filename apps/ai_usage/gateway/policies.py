"""Policies on the hot path: what of a request they look at, and their refusal in the gateway's words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from apps.ai_usage import bodies
from apps.ai_usage.explanation import WISHES
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.requests import ModelRequest
from apps.ai_usage.normalise import Endpoint
from apps.ai_usage.types import RoutePlan, Target
from apps.governance.policies.decision import Facts, Finding, Judged, PolicySet, Tool
from apps.governance.policies.rules import Rule

_REFUSALS: Mapping[Rule, tuple[Kind, str, str | None]] = {
    Rule.HOURS: (Kind.PERMISSION, "outside_policy_hours", None),
    Rule.MODELS: (Kind.PERMISSION, "model_not_allowed_by_policy", "model"),
    Rule.PROMPTS: (Kind.PERMISSION, "approved_prompt_required", "prompt"),
    Rule.TOOLS: (Kind.PERMISSION, "tool_not_allowed_by_policy", "tools"),
    Rule.MAX_OUTPUT: (Kind.PERMISSION, "output_not_allowed_by_policy", None),
    Rule.PROVIDERS: (Kind.PERMISSION, "provider_not_allowed_by_policy", "model"),
    Rule.REGIONS: (Kind.PERMISSION, "region_not_allowed_by_policy", "model"),
    Rule.DATA_HANDLING: (Kind.PERMISSION, "data_handling_not_allowed_by_policy", "model"),
}
# Members beside `tools` that bring tools along. Our parser takes the last of two, a provider perhaps the first.
_MORE_TOOLS = ("functions", "web_search_options", "mcp_servers")
# What providers append to a tool's type: a date, or that it is a preview.
_DATED = re.compile(r"[-_]\d{4}[-_]?\d{2}[-_]?\d{2}\Z")
_TOOLS = frozenset({"tools", "prompt", *_MORE_TOOLS})
_MOST_NESTED = 4
_MOST_RECORDED = 20


def judge(
    policies: PolicySet,
    request: ModelRequest,
    targets: Sequence[Target],
    at: datetime,
    *,
    for_counting: bool = False,
    steps: list[Finding] | None = None,
) -> Judged[Target]:
    """Put a request to the policies of its key; Refusal where one of them refuses. `steps` takes what each said."""
    judged = policies.judge(facts_of(policies, request, at, for_counting=for_counting), targets, steps)
    if judged.refusal is not None:
        raise refused(judged.refusal)
    return judged


def facts_of(
    policies: PolicySet, request: ModelRequest, at: datetime, *, for_counting: bool = False
) -> Facts:
    """What the policies look at of a request; tools only where one of them does."""
    has_output = request.endpoint is not Endpoint.EMBEDDINGS and not for_counting
    return Facts(
        request.model,
        at,
        has_output,
        bodies.output_asked(request.endpoint, request.parsed) if has_output else None,
        list(tools_of(request)) if policies.reads_tools else (),
        request.prompt_ref,
    )


def refused(finding: Finding) -> Refusal:
    """A policy's refusal: its code names the rule, its message and header also whose policy, and which version."""
    kind, code, param = _REFUSALS[finding.rule]
    policy = finding.policy
    header = f"{policy.level.value}/{policy.version} {finding.rule.value}".encode()
    return Refusal(kind, code, finding.message, param=param, headers=((b"x-lockstep-policy", header),))


def refuse_model(policies: PolicySet, route: RoutePlan, at: datetime) -> Refusal | None:
    """Why a model is not among those that this key can use, if policies leave nothing of it."""
    finding = policies.refuses_model(route.model, route.targets, at)
    return None if finding is None else refused(finding)


def tools_of(request: ModelRequest) -> Iterator[Tool]:
    """Every tool that a request brings, in whatever member; what cannot be read is a tool without a name."""
    parsed = request.parsed
    yield from _listed(parsed.get("tools"))
    if any(name in parsed for name in _MORE_TOOLS):
        _refuse_twice(request.body)
        yield from (_function(each) for each in _entries(parsed.get("functions")))
        yield from (_mcp(each) for each in _entries(parsed.get("mcp_servers")))
        if parsed.get("web_search_options") is not None:
            yield Tool(kinds=("web_search",))
    if (
        request.prompt_ref is None
        and request.endpoint is Endpoint.RESPONSES
        and parsed.get("prompt") is not None
    ):
        # A prompt that is kept at the provider may bring tools that nobody here sees.
        yield Tool(kinds=("prompt",))


def wishes(request: ModelRequest) -> dict[str, Any]:
    """What of a request the record of its call keeps, so that policies can be tried on it later (`WISHES`)."""
    kept: dict[str, Any] = {}
    asked = bodies.output_asked(request.endpoint, request.parsed)
    if asked is not None:
        kept["output"] = asked
    if not _TOOLS.isdisjoint(request.parsed):
        try:
            kept["tools"] = list(dict.fromkeys(tool.label[:80] for tool in tools_of(request)))[
                :_MOST_RECORDED
            ]
        except Refusal:
            kept["tools"] = ["(given twice)"]
    if request.prompt_ref is not None:
        kept["prompt"] = request.prompt_ref[:120]
    return {WISHES: kept}


def _listed(stored: Any, depth: int = 0) -> Iterator[Tool]:
    for entry in _entries(stored):
        kind = entry.get("type") if isinstance(entry, dict) else ""
        if kind == "namespace" and depth < _MOST_NESTED:
            yield from _listed(entry.get("tools"), depth + 1)
        elif kind in (None, "function", "custom"):
            inner = entry.get(kind) if kind else None
            yield _function(inner if isinstance(inner, dict) else entry)
        elif kind == "mcp":
            yield _mcp(entry)
        elif isinstance(kind, str) and kind:
            plain = _DATED.sub("", kind).removesuffix("_preview")
            yield Tool(_names(entry), tuple(dict.fromkeys((kind, plain))))
        else:
            yield Tool()


def _entries(stored: Any) -> list[Any]:
    if stored is None:
        return []
    return stored if isinstance(stored, list) else [stored]


def _function(entry: Any) -> Tool:
    return Tool(_names(entry)) if isinstance(entry, dict) else Tool()


def _names(entry: Mapping[str, Any]) -> tuple[str, ...]:
    name = entry.get("name")
    return (name,) if isinstance(name, str) and name else ()


def _mcp(entry: Any) -> Tool:
    """A server of tools: `mcp`, and its host or connector. What the caller calls it says nothing."""
    if not isinstance(entry, dict):
        return Tool()
    address = entry.get("server_url") or entry.get("url")
    place = entry.get("connector_id")
    if isinstance(address, str):
        try:
            place = urlsplit(address).hostname
        except ValueError:
            place = None
    return Tool(kinds=("mcp", f"mcp:{place}") if isinstance(place, str) and place else ("mcp",))


def _refuse_twice(body: bytes) -> None:
    seen: set[str] = set()
    for member in bodies.members(body):
        if member.name in _MORE_TOOLS and member.name in seen:
            raise Refusal(
                Kind.INVALID, "duplicate_member", f"`{member.name}` is given twice.", param=member.name
            )
        seen.add(member.name)
