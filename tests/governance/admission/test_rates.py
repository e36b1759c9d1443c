"""Requests, tokens and calls at once: exact at the limit, corrected by what was really used."""

import asyncio
from collections.abc import Callable

import pytest

from apps.governance.admission.ask import Admitted
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.types import RefusedBecause, concurrency, request_rate, token_rate
from tests.governance.admission.conftest import Clock, MakeEngine, Server
from tests.governance.admission.tenant import Tenant


@pytest.fixture
async def timed(shared_server: Server, make_engine: MakeEngine, clock: Clock) -> AdmissionEngine:
    """An engine whose time stands still until the test moves it."""
    return await make_engine(shared_server, clock=clock.now)


async def test_two_hundred_requests_at_once_on_a_rate_of_a_hundred_admit_exactly_a_hundred(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(request_rate("tenant.requests_per_hour", 100, period_ms=3_600_000))

    answers = await asyncio.gather(*(tenant.ask(engine, limits) for _ in range(200)))

    assert sum(isinstance(answer, Admitted) for answer in answers) == 100


@pytest.mark.parametrize("limit", [1, 7, 60, 997])
async def test_a_rate_lets_through_its_limit_and_then_one_each_interval(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock, limit: int
) -> None:
    limits = tenant.limits(request_rate("tenant.requests_per_minute", limit))
    interval = -(-60_000 // limit)

    first = [isinstance(await tenant.ask(timed, limits), Admitted) for _ in range(limit + 3)]
    refused = await tenant.refused(timed, limits)
    clock.advance(interval - 1)
    early = await tenant.ask(timed, limits)
    clock.advance(1)
    on_time = await tenant.ask(timed, limits)

    assert first == [True] * limit + [False] * 3
    assert (refused.code, refused.remaining) == (RefusedBecause.RATE, 0)
    assert refused.retry_after == interval / 1000
    assert not isinstance(early, Admitted)
    assert isinstance(on_time, Admitted)


async def test_over_many_minutes_a_rate_admits_neither_more_nor_less(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = tenant.limits(request_rate("tenant.requests_per_minute", 7))

    admitted = 0
    for _ in range(600):
        admitted += isinstance(await tenant.ask(timed, limits), Admitted)
        clock.advance(1_000)

    # Seven at once after the pause, then seven a minute for 599 seconds: 7 + floor(599 * 7 / 60).
    assert admitted == 7 + 69


async def test_the_headers_tell_the_tightest_rate_and_when_it_is_whole_again(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = tenant.limits(
        request_rate("key.requests_per_minute", 10, subject="k"),
        request_rate("tenant.requests_per_minute", 60),
        token_rate("tenant.tokens_per_minute", 6_000),
        key="k",
    )

    call = await tenant.admitted(timed, limits, tokens=600)

    assert (call.requests.limit.name, call.requests.remaining) == ("key.requests_per_minute", 9)
    assert call.requests.reset_at == (clock.now() + 6_000) / 1000
    assert (call.tokens.remaining, call.tokens.reset_at) == (5_400, (clock.now() + 6_000) / 1000)


async def test_tokens_are_held_as_estimated_and_corrected_by_what_was_used(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = tenant.limits(token_rate("tenant.tokens_per_minute", 1_000))
    greedy = await tenant.admitted(timed, limits, tokens=900)
    refused = await tenant.refused(timed, limits, tokens=200)

    await timed.settle(greedy, 0, tokens=300)
    modest = await tenant.admitted(timed, limits, tokens=700)
    await timed.settle(modest, 0, tokens=1_000)

    assert (refused.code, refused.remaining, refused.retry_after) == (RefusedBecause.TOKENS, 100, 6.0)
    # 1,300 were used where 1,000 fit, so the next minute pays for 300 of them first.
    assert (await tenant.refused(timed, limits, tokens=1)).retry_after == (300 + 1) * 60 / 1000
    clock.advance(18_060)
    assert isinstance(await tenant.ask(timed, limits, tokens=1), Admitted)


async def test_tokens_left_as_estimated_when_nobody_knows_better_and_returned_on_release(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(token_rate("tenant.tokens_per_minute", 1_000))
    kept = await tenant.admitted(timed, limits, tokens=400)
    returned = await tenant.admitted(timed, limits, tokens=600)

    await timed.settle(kept, 0)
    await timed.release(returned)

    assert (await tenant.refused(timed, limits, tokens=601)).remaining == 600


async def test_a_call_larger_than_a_token_rate_is_told_that_waiting_does_not_help(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(token_rate("tenant.tokens_per_minute", 1_000))

    refused = await tenant.refused(timed, limits, tokens=1_001)

    assert (refused.reset_at, refused.retry_after, refused.remaining) == (None, None, 1_000)
    assert refused.message == (
        "This call alone is larger than the limit tenant.tokens_per_minute of 1000. Make it smaller."
    )


async def test_a_rate_of_zero_admits_nothing(timed: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(request_rate("tenant.requests_per_minute", 0))

    refused = await tenant.refused(timed, limits)

    assert (refused.remaining, refused.retry_after) == (0, None)


async def test_a_rate_in_shadow_mode_says_what_it_would_have_refused_and_counts_as_if_it_had(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = tenant.limits(request_rate("tenant.requests_per_minute", 2, soft=True))

    calls = [await tenant.admitted(timed, limits) for _ in range(4)]
    clock.advance(30_000)
    later = await tenant.admitted(timed, limits)

    assert [bool(call.shadow_refusals) for call in calls] == [False, False, True, True]
    assert later.shadow_refusals == ()
    assert later.requests is None


async def test_calls_at_once_are_exact_and_free_up_when_settled(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(concurrency("tenant.concurrent_calls", 5))

    answers = await asyncio.gather(*(tenant.ask(engine, limits) for _ in range(50)))
    held = [answer for answer in answers if isinstance(answer, Admitted)]
    refused = await tenant.refused(engine, limits)
    await engine.settle(held[0], 0)
    await engine.release(held[1])
    again = await asyncio.gather(*(tenant.ask(engine, limits) for _ in range(50)))

    assert len(held) == 5
    assert (refused.code, refused.remaining, refused.retry_after) == (RefusedBecause.CONCURRENCY, 0, 1.0)
    assert sum(isinstance(answer, Admitted) for answer in again) == 2


async def test_a_slot_is_free_the_moment_its_lease_ends(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = tenant.limits(concurrency("tenant.concurrent_calls", 1))
    await tenant.admitted(timed, limits, lease_ms=1_000)

    clock.advance(999)
    early = await tenant.ask(timed, limits)
    clock.advance(1)

    assert not isinstance(early, Admitted)
    assert isinstance(await tenant.ask(timed, limits), Admitted)


async def test_a_soft_limit_on_calls_at_once_counts_all_of_them(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(concurrency("tenant.concurrent_calls", 1, soft=True))

    calls = [await tenant.admitted(engine, limits) for _ in range(3)]

    assert [bool(call.shadow_refusals) for call in calls] == [False, True, True]
    assert tenant.valkey.zcard(f"lockstep:{{{tenant.id.hex}}}:c:t:concurrent_calls") == 3


async def test_a_request_that_a_later_limit_refuses_uses_nothing_of_an_earlier_one(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(
        request_rate("tenant.requests_per_hour", 10, period_ms=3_600_000),
        concurrency("key.concurrent_calls", 1, subject="k"),
        key="k",
    )
    first = await tenant.admitted(engine, limits)

    for _ in range(5):
        assert (await tenant.refused(engine, limits)).limit.name == "key.concurrent_calls"
    await engine.settle(first, 0)

    assert (await tenant.admitted(engine, limits)).requests.remaining == 8


async def test_two_tenants_have_their_own_rates(
    engine: AdmissionEngine, make_tenant: Callable[[], Tenant]
) -> None:
    one, other = make_tenant(), make_tenant()
    limit = request_rate("tenant.requests_per_hour", 1, period_ms=3_600_000)

    await one.admitted(engine, one.limits(limit))

    await one.refused(engine, one.limits(limit))
    await other.admitted(engine, other.limits(limit))
