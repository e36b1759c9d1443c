"""The explanation equals what admission does, for whatever settings, policies, keys and requests."""

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from apps.ai_usage.gateway.background import refuse_stream
from apps.ai_usage.gateway.callers import first_look
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.errors import Refusal
from apps.ai_usage.gateway.explaining import Imagined, _body, explain
from apps.ai_usage.gateway.process import GatewayProcess
from apps.ai_usage.gateway.requests import headers_of, parse
from apps.ai_usage.gateway.surface import refusal_of
from apps.ai_usage.models import Provider
from apps.ai_usage.normalise import Endpoint
from apps.errors import DomainError
from apps.governance import services as governance
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.errors import PolicyLooserThanBound
from apps.governance.models import Budget, PolicyVersion
from apps.keys import services as keys
from apps.keys.models import ApiKey
from apps.tenancy.services import in_tenant
from tests.factories.keys import limits, make_key, make_service_account
from tests.factories.policies import SYSTEM, bound, save
from tests.factories.tenants import entitle
from tests.planes import control_plane

MODELS = ["gpt-4o-mini", "gpt-4o", "claude-sonnet-5-5", "text-embedding-3-small", "nothing-here"]


class Engine:
    """A gateway in this test process, by a clock that can be made to stand still."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stands_at: int | None = None
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.process: GatewayProcess = self.run(self._begin())
        self.held: list[Any] = []

    async def _begin(self) -> GatewayProcess:
        process = GatewayProcess()
        process.engine = AdmissionEngine.connect(settings.VALKEY_URL, clock=self.now_ms)
        await process.start()
        return process

    def now_ms(self) -> int:
        return self.stands_at or int(time.time() * 1000)

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        self.run(self.process.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def really(self, secret: str, imagined: Imagined, *, keep: bool) -> tuple[str, int | None]:
        """What the surface does with such a request up to admission: its code, or the output that is granted."""
        dialect = "anthropic" if imagined.endpoint is Endpoint.MESSAGES else "openai"
        host = imagined.host or sorted(settings.SHARED_HOSTS)[0]
        pairs = {"authorization": f"Bearer {secret}", "host": host, "content-type": "application/json"}
        scope = {
            "headers": [(name.encode(), value.encode()) for name, value in pairs.items()],
            "client": (imagined.address or "127.0.0.1", 1),
        }
        try:
            headers = headers_of(scope)
            caller = await first_look(self.process, scope, headers)
            body = imagined.body if imagined.body is not None else orjson.dumps(_body(imagined))
            request = parse(imagined.endpoint, dialect, headers, body)
            request.prompt_ref = imagined.prompt_ref
            if request.is_background:
                refuse_stream(request)
            call = Call(self.process, request, uuid7(), time.monotonic(), caller=caller)
            admitted = await call.prepare(scope)
        except Refusal as refusal:
            return refusal.code, None
        except DomainError as error:
            return refusal_of(error).code, None
        if keep:
            self.held.append(admitted)
        else:
            await self.process.engine.release(admitted)
        return "", admitted.granted_output_tokens


@pytest.fixture(scope="module")
def engine(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        made = Engine()
        yield made
        made.close()


LISTS = st.lists(
    st.sampled_from(
        ["gpt-*", "claude-*", "gpt-4o", "*-mini", "openai", "anthropic", "eu", "us-*", "f", "bash"]
    ),
    min_size=1,
    max_size=3,
)
NAMES = st.fixed_dictionaries({}, optional={"allow": LISTS, "deny": LISTS})
HOURS = st.builds(
    lambda days, begins, ends: {
        "zone": "Asia/Tokyo",
        "windows": [{"days": days, "from": begins, "to": ends}],
    },
    st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=4, max_size=9),
    st.sampled_from(["00:00", "06:30", "18:00"]),
    st.sampled_from(["00:00", "12:00", "23:59"]),
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "models": NAMES,
        "providers": st.fixed_dictionaries({}, optional={"deny": LISTS}),
        "regions": st.fixed_dictionaries({}, optional={"deny": LISTS}),
        "tools": NAMES,
        "max_output_tokens": st.sampled_from([10, 100, 5000]),
        "data_handling": st.fixed_dictionaries(
            {}, optional={"max_retention_days": st.sampled_from([0, 30]), "no_training": st.booleans()}
        ),
        "approved_prompts_only": st.booleans(),
        "hours": HOURS,
    },
)
MAYBE_RULES = st.none() | RULES


@dataclass
class World:
    """Everything that decides about a request."""

    plan: dict[str, Any]
    standing: str
    models: list[str]
    is_suspended: bool
    budget: str | None
    bounds: dict[str, Any] | None
    tenant: dict[str, Any] | None
    shadow: dict[str, Any] | None
    owner: dict[str, Any] | None
    key_policy: dict[str, Any] | None
    key: dict[str, Any]
    ended: str


@dataclass
class Asked:
    """A request that somebody may make."""

    endpoint: Endpoint
    model: str
    output: int | None
    tools: tuple[Any, ...]
    stream: bool
    background: bool
    prompt: str | None
    address: str
    other_host: bool
    body: bytes | None
    keep: bool


PLAN = st.fixed_dictionaries(
    {},
    optional={
        "requests_per_minute": st.sampled_from([1, 2, 1000]),
        "tokens_per_minute": st.sampled_from([50, 5000]),
        "concurrent_calls": st.sampled_from([0, 1, 50]),
        "spend_per_month": st.sampled_from(["0", "0.0001", "0.004", "50"]),
    },
)
often = lambda usual, *others: st.sampled_from([usual] * 8 + list(others))  # noqa: E731 (reads as a word here)
WORLDS = st.builds(
    World,
    plan=PLAN,
    standing=often("active", "active", "active", "unpaid", "none"),
    models=often(["*"], ["gpt-4o"]),
    is_suspended=often(False, False, False, True),
    budget=st.sampled_from([None, None, "0.0005", "3"]),
    bounds=MAYBE_RULES,
    tenant=MAYBE_RULES,
    shadow=MAYBE_RULES,
    owner=MAYBE_RULES,
    key_policy=MAYBE_RULES,
    key=st.fixed_dictionaries(
        {},
        optional={
            "models_allowed": st.sampled_from([["gpt-4o"], ["gpt-4o-mini", "claude-sonnet-5-5"]]),
            "addresses_allowed": st.just(["10.0.0.0/8"]),
            "scopes": often(["inference:write"], ["usage:read"]),
            "limits": st.builds(
                limits,
                requests_per_minute=st.sampled_from([None, 1, 60]),
                concurrent_calls=st.sampled_from([None, 1]),
            ),
        },
    ),
    ended=often("", "", "", "", "", "revoked", "disabled", "expired"),
)
REQUESTS = st.builds(
    Asked,
    endpoint=st.sampled_from(
        [
            each
            for each in Endpoint
            if each.value in ("chat.completions", "responses", "messages", "embeddings")
        ]
    ),
    model=st.sampled_from(MODELS),
    output=st.sampled_from([None, None, 8, 64, 2000, 9000]),
    tools=st.sampled_from([(), (), ("f",), ("g", "f"), ({"type": "bash_20250124", "name": "bash"},)]),
    stream=st.booleans(),
    background=often(False, True),
    prompt=st.sampled_from([None, "welcome@1", "welcome@1"]),
    address=often("10.1.2.3", "192.0.2.1", "::ffff:10.0.0.1"),
    other_host=often(False, True),
    body=often(
        None,
        None,
        None,
        None,
        None,
        None,
        b"{",
        b"[]",
        b'{"model":"gpt-4o","model":"x"}',
        b'{"model":"gpt-4o","messages":3}',
    ),
    keep=st.booleans(),
)


def make(world: World, tenant: Any, account: Any) -> Any:
    """Bring the world about, and return the key."""
    with control_plane(), in_tenant(tenant):
        entitle(limits=world.plan, standing=world.standing, models=tuple(world.models))
        PolicyVersion.objects.all().delete()
        Budget.objects.all().delete()
    bound(tenant, world.bounds)
    with in_tenant(tenant):
        issued = make_key(service_account_id=account, **world.key)
        if world.budget is not None:
            Budget.objects.create(level="tenant", unit="money", window="month", amount=world.budget)
        levels = [("tenant", None, world.tenant, "enforced"), ("tenant", None, world.shadow, "shadow")]
        levels += [("service_account", account, world.owner, "enforced")]
        levels += [("key", issued.key.id, world.key_policy, "enforced")]
        for level, subject, rules, mode in levels:
            if rules is not None:
                # What is looser than what stands above is never saved.
                with contextlib.suppress(PolicyLooserThanBound):
                    save(rules, level, subject, mode=mode)
        if world.ended == "revoked":
            keys.revoke_key(issued.key.id, actor=SYSTEM, reason="test")
        elif world.ended == "disabled":
            keys.disable_key(issued.key.id, actor=SYSTEM)
        elif world.ended == "expired":
            ApiKey.objects.filter(pk=issued.key.id).update(expires_at=timezone.now())
    return issued


def test_the_explanation_is_what_admission_does(fresh_tenant, engine, committed):
    tenant = fresh_tenant()
    with control_plane():
        Provider.objects.filter(name="openai").update(
            region="us-east", retention_days=30, trains_on_data=False
        )
    with in_tenant(tenant):
        account = make_service_account().id
    seen: dict[str, int] = {}

    @hypothesis_settings(
        max_examples=200,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(WORLDS, st.lists(REQUESTS, min_size=1, max_size=3))
    def check(world, requests):
        engine.stands_at = (engine.stands_at or int(time.time() * 1000)) + 20_000
        issued = make(world, tenant, account)
        if world.is_suspended:
            with control_plane():
                governance.suspend_tenant(tenant, reason="test", actor=SYSTEM)
        try:
            for asked in requests:
                imagined = Imagined(
                    key_id=issued.key.id,
                    key_public_id=issued.key.key_id,
                    endpoint=asked.endpoint,
                    at=timezone.now(),
                    model=asked.model,
                    max_output_tokens=asked.output,
                    tools=asked.tools,
                    stream=asked.stream,
                    background=asked.background,
                    body=asked.body,
                    host="globex.localhost" if asked.other_host else "",
                    address=asked.address,
                    prompt_ref=asked.prompt,
                )
                told = engine.run(explain(engine.process, tenant, imagined))
                code, granted = engine.run(engine.really(issued.secret, imagined, keep=asked.keep))
                seen[code] = seen.get(code, 0) + 1
                assert (told.code, told.allowed, told.granted_output_tokens) == (code, code == "", granted)
                assert told.allowed is all(rule.answer != "refused" for rule in told.rules) or any(
                    each.refuses for each in told.limits
                )
        finally:
            if world.is_suspended:
                with control_plane():
                    governance.resume_tenant(tenant, reason="test", actor=SYSTEM)
            while engine.held and len(engine.held) > 3:
                engine.run(engine.process.engine.release(engine.held.pop()))

    try:
        check()
    finally:
        engine.stands_at = None
        with control_plane():
            Provider.objects.filter(name="openai").update(region="", retention_days=None, trains_on_data=None)
    # It was worth asking: many answers of many kinds came up.
    assert len(seen) >= 12 and seen.get("", 0) >= 5


def test_a_peek_tells_what_is_left_and_holds_nothing(fresh_tenant, engine):
    tenant = fresh_tenant(requests_per_minute=2, concurrent_calls=1, spend_per_month="1")
    with in_tenant(tenant):
        issued = make_key()
    imagined = Imagined(
        issued.key.id, issued.key.key_id, Endpoint.CHAT_COMPLETIONS, timezone.now(), "gpt-4o-mini", 100
    )

    looks = [engine.run(explain(engine.process, tenant, imagined)) for _ in range(5)]
    taken = engine.run(engine.really(issued.secret, imagined, keep=True))
    after = engine.run(explain(engine.process, tenant, imagined))

    assert all(look.allowed and look.granted_output_tokens == 100 for look in looks)
    assert [(each.name, str(each.remaining), each.refuses) for each in looks[-1].limits] == [
        ("tenant.requests_per_minute", "2", False),
        ("tenant.concurrent_calls", "1", False),
        ("tenant.spend_per_month", "1", False),
    ]
    assert taken == ("", 100)
    assert (after.allowed, after.code, after.status) == (False, "concurrency_exceeded", 429)
    assert [(each.name, each.remaining < 2, each.refuses) for each in after.limits] == [
        ("tenant.requests_per_minute", True, False),
        ("tenant.concurrent_calls", True, True),
        ("tenant.spend_per_month", True, False),
    ]
    assert after.limits[2].reserved is not None and after.limits[2].reserved > 0


def test_every_rule_is_told_in_order_also_those_after_the_refusing_policy(fresh_tenant, engine):
    tenant = fresh_tenant()
    with in_tenant(tenant):
        issued = make_key()
        save({"tools": {"allow": ["f"]}, "max_output_tokens": 50})
        save({"models": {"deny": ["gpt-*"]}}, mode="shadow")
        save({"max_output_tokens": 10}, "key", issued.key.id)
    imagined = Imagined(
        issued.key.id,
        issued.key.key_id,
        Endpoint.CHAT_COMPLETIONS,
        timezone.now(),
        "gpt-4o-mini",
        max_output_tokens=20,
        tools=("g",),
    )

    told = engine.run(explain(engine.process, tenant, imagined))

    assert (told.code, told.status) == ("tool_not_allowed_by_policy", 403)
    assert [(each.rule, each.level, each.version, each.answer) for each in told.rules] == [
        ("key", "", None, "passed"),
        ("expiry", "", None, "passed"),
        ("request", "", None, "passed"),
        ("standing", "", None, "passed"),
        ("scope", "", None, "passed"),
        ("model", "", None, "passed"),
        ("plan_models", "", None, "passed"),
        ("key_models", "", None, "passed"),
        ("dialect", "", None, "passed"),
        ("price", "", None, "passed"),
        ("tools", "tenant", 1, "refused"),
        ("max_output_tokens", "tenant", 1, "passed"),
        ("max_output_tokens", "key", 1, "refused"),
        ("models", "tenant", 2, "would_refuse"),
    ]
