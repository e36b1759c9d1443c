"""What the gateway would answer to a request that nobody makes: its own rules, one by one, and nothing held."""

import time
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from apps.ai_usage.gateway.background import refuse_stream
from apps.ai_usage.gateway.callers import Caller, known_host
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.errors import Kind, Refusal, invalid_key
from apps.ai_usage.gateway.process import GatewayProcess
from apps.ai_usage.gateway.refusals import refused_by_limit
from apps.ai_usage.gateway.requests import ModelRequest, parse
from apps.ai_usage.gateway.rules import Permitted, permit
from apps.ai_usage.gateway.snapshots import TenantSnapshot
from apps.ai_usage.gateway.steps import Steps
from apps.ai_usage.gateway.surface import refusal_of
from apps.ai_usage.normalise import Endpoint
from apps.errors import DomainError
from apps.governance.admission.types import Kind as LimitKind
from apps.governance.admission.types import LimitStanding, Peek, Stale
from apps.keys.selectors import why_not_now
from apps.tenancy.types import TenantRef

_MOST_RELOADS = 8
_NANO = Decimal(10) ** 9
_JSON = {b"content-type": b"application/json"}


@dataclass(frozen=True, slots=True)
class Imagined:
    """A request that somebody asks about. With a `body` it is that body; otherwise one is made of the members."""

    key_id: UUID
    key_public_id: str
    endpoint: Endpoint
    at: datetime
    model: str = ""
    max_output_tokens: int | None = None
    tools: tuple[Any, ...] = ()  # names of functions, or tools as the endpoint takes them
    stream: bool = False
    background: bool = False
    body: bytes | None = None
    host: str = ""
    address: str | None = None  # None: not asked
    prompt_ref: str | None = None


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """One rule that was put, and what it said. A rule in shadow refuses nothing, whatever it says."""

    rule: str
    answer: str  # passed | refused | would_refuse
    said: str
    level: str = ""
    version: int | None = None
    is_shadow: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedLimit:
    """One limit as it stands before the request. Money is in the tenant's currency."""

    name: str
    unit: str  # requests | tokens | calls | money
    limit: Decimal
    remaining: Decimal
    reserved: Decimal | None
    resets_at: float | None
    is_hard: bool
    refuses: bool


@dataclass(frozen=True, slots=True)
class ExplainedRequest:
    """The answer, and every rule in the order in which it was put. Limits come last, once the rules let it through."""

    allowed: bool
    code: str
    status: int
    message: str
    rules: tuple[ExplainedRule, ...]
    limits: tuple[ExplainedLimit, ...] = ()
    targets: tuple[str, ...] = ()
    granted_output_tokens: int | None = None
    checked_without_valkey: bool = False


async def explain(process: GatewayProcess, tenant: TenantRef, imagined: Imagined) -> ExplainedRequest:
    """What the gateway would answer now, or at another moment: limits and budgets are always those of now."""
    dialect = "anthropic" if imagined.endpoint is Endpoint.MESSAGES else "openai"
    steps = Steps()
    look = _Look(process, imagined, dialect, steps)
    try:
        peek = await look.answer(tenant)
        if peek.refused is not None:
            raise refused_by_limit(peek.refused)
    except Refusal as refusal:
        return look.explained(refusal)
    except DomainError as error:
        return look.explained(refusal_of(error))
    return look.explained(None)


class _Look:
    """One look through the rules, begun anew where the tenant's settings change under it."""

    def __init__(self, process: GatewayProcess, imagined: Imagined, dialect: str, steps: Steps) -> None:
        self.process = process
        self.imagined = imagined
        self.dialect = dialect
        self.steps = steps
        self.permitted: Permitted | None = None
        self.peek: Peek | None = None

    async def answer(self, tenant: TenantRef) -> Peek:
        epoch, dirty = await self.process.epoch(tenant)
        for _ in range(_MOST_RELOADS):
            snapshot = await self.process.snapshots.load(
                tenant, epoch or 0, keep=epoch is not None and not dirty
            )
            self.steps.begun.clear()
            self.steps.findings.clear()
            caller = await self._caller(snapshot)
            self.steps.begin("request", "The request can be read.")
            request = self._request()
            if request.is_background:
                refuse_stream(request)
            self.permitted = permit(caller, request, self.imagined.at, self.steps)
            self.steps.begin("limits")
            call = Call(self.process, request, uuid7(), time.monotonic(), caller=caller)
            answer = await self.process.peek(snapshot.tenant, call.ask(caller, self.permitted, dirty))
            if not isinstance(answer, Stale):
                self.peek = answer
                return answer
            epoch, dirty = answer.epoch, answer.dirty
        raise Refusal(Kind.UNAVAILABLE, "settings_changing", "Settings are being changed.", retry_after=1)

    async def _caller(self, snapshot: TenantSnapshot) -> Caller:
        imagined = self.imagined
        if imagined.host:
            self.steps.begin("host", "The host is the tenant's, or one of all tenants.")
            host = await known_host(self.process, {b"host": imagined.host.encode("latin-1", "replace")})
            if host is not None and host != snapshot.tenant.id:
                raise invalid_key()
        self.steps.begin(
            "key", "The key exists and is neither revoked nor disabled, nor is its owner or parent."
        )
        key = await self.process.snapshots.key(snapshot, imagined.key_public_id)
        if key is None or key.principal.key_id != imagined.key_id:
            raise invalid_key()
        self.steps.begin("expiry", "The key has not expired.")
        if why_not_now(key.principal, now=imagined.at, address=None) is not None:
            raise invalid_key()
        if imagined.address is not None:
            self.steps.begin(
                "address", "The address is in the networks of the key, its parent and the tenant."
            )
            if why_not_now(key.principal, now=imagined.at, address=imagined.address) is not None:
                raise invalid_key()
        return Caller(snapshot, key, imagined.address or "", False)

    def _request(self) -> ModelRequest:
        imagined = self.imagined
        body = imagined.body if imagined.body is not None else orjson.dumps(_body(imagined))
        request = parse(imagined.endpoint, self.dialect, _JSON, body)
        return replace(request, prompt_ref=imagined.prompt_ref) if imagined.prompt_ref else request

    def explained(self, refusal: Refusal | None) -> ExplainedRequest:
        """The answer as it is told."""
        by_limit = self.peek is not None and self.peek.refused is not None
        standings = self.peek.standings if self.peek is not None else ()
        return ExplainedRequest(
            allowed=refusal is None,
            code="" if refusal is None else refusal.code,
            status=200 if refusal is None else refusal.status(self.dialect),
            message="" if refusal is None else refusal.message,
            rules=tuple(self._rules(refusal, by_limit)),
            limits=tuple(_limit(each, self.peek) for each in standings),
            targets=tuple(target.name for target in self.permitted.targets) if self.permitted else (),
            granted_output_tokens=self.peek.granted_output_tokens
            if self.peek is not None and refusal is None
            else None,
            checked_without_valkey=self.peek is not None and self.peek.degraded,
        )

    def _rules(self, refusal: Refusal | None, by_limit: bool) -> list[ExplainedRule]:
        told = []
        for place, (rule, about) in enumerate(self.steps.begun, start=1):
            refuses = refusal is not None and not by_limit and place == len(self.steps.begun)
            if rule == "policies":
                told += self._policies()
            elif rule == "limits":
                if refuses and refusal is not None:
                    told.append(ExplainedRule(rule, "refused", refusal.message))
            elif refuses and refusal is not None:
                told.append(ExplainedRule(rule, "refused", refusal.message))
            else:
                told.append(ExplainedRule(rule, "passed", about))
        return told

    def _policies(self) -> list[ExplainedRule]:
        told = []
        for finding in self.steps.findings:
            policy, answer = finding.policy, "passed"
            if finding.said:
                answer = "would_refuse" if policy.is_shadow else "refused"
            told.append(
                ExplainedRule(
                    finding.rule.value,
                    answer,
                    finding.said,
                    policy.level.value,
                    policy.version,
                    policy.is_shadow,
                )
            )
        return told


def _body(imagined: Imagined) -> dict[str, Any]:
    """The least that an endpoint takes, with what was said."""
    said: dict[str, Any] = {"model": imagined.model}
    turn = [{"role": "user", "content": "Hello"}]
    limit = imagined.max_output_tokens
    match imagined.endpoint:
        case Endpoint.EMBEDDINGS:
            return said | {"input": "Hello"}
        case Endpoint.RESPONSES:
            said |= {"input": "Hello"} | ({} if limit is None else {"max_output_tokens": limit})
            said |= {"background": True} if imagined.background else {}
        case Endpoint.MESSAGES:
            said |= {"messages": turn, "max_tokens": 1024 if limit is None else limit}
        case _:
            said |= {"messages": turn} | ({} if limit is None else {"max_completion_tokens": limit})
    if imagined.tools:
        said["tools"] = [
            _function(tool, imagined.endpoint) if isinstance(tool, str) else tool for tool in imagined.tools
        ]
    return said | ({"stream": True} if imagined.stream else {})


def _function(name: str, endpoint: Endpoint) -> dict[str, Any]:
    schema = {"type": "object", "properties": {}}
    match endpoint:
        case Endpoint.MESSAGES:
            return {"name": name, "input_schema": schema}
        case Endpoint.RESPONSES:
            return {"type": "function", "name": name, "parameters": schema}
        case _:
            return {"type": "function", "function": {"name": name, "parameters": schema}}


_UNITS = {
    LimitKind.REQUESTS: "requests",
    LimitKind.TOKENS: "tokens",
    LimitKind.CONCURRENCY: "calls",
    LimitKind.BUDGET: "money",
}


def _limit(standing: LimitStanding, peek: Peek | None) -> ExplainedLimit:
    limit = standing.limit
    is_money = limit.kind is LimitKind.BUDGET
    scale = _NANO if is_money else Decimal(1)
    refused = peek.refused if peek is not None else None
    return ExplainedLimit(
        name=limit.name,
        unit=_UNITS[limit.kind],
        limit=Decimal(limit.limit) / scale,
        remaining=Decimal(standing.remaining) / scale,
        reserved=Decimal(standing.reserved) / scale if is_money else None,
        resets_at=standing.reset_at,
        is_hard=not limit.soft,
        refuses=refused is not None and refused.limit is limit,
    )
