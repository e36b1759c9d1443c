"""Answers to identical requests from memory: off unless asked for, one tenant's own, exact in money, never wrong."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import redis

from apps.governance import services as governance
from apps.governance.types import Actor
from apps.keys.types import Environment
from apps.tenancy.services import in_tenant
from tests.factories.keys import make_key
from tests.factories.tenants import ROOMY, entitle
from tests.planes import control_plane
from tests.system import running_web, wait_for

OWNER = Actor.system("tests")
CHAT = ("/v1/chat/completions", {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Again?"}]})
MESSAGE = (
    "/v1/messages",
    {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Again?"}]},
)
EMBEDDING = ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "Again?"})
RESPONSE = ("/v1/responses", {"model": "gpt-4o", "input": "Again?"})
FOREIGN = (
    "/v1/chat/completions",
    {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Again?"}]},
)


def switch_on(caller, seconds=600, models=()):
    with in_tenant(caller.tenant):
        governance.set_answer_cache(actor=OWNER, enabled=True, seconds=seconds, models=models)


@pytest.fixture
def cached(caller):
    """A caller whose tenant has its answers repeated."""
    switch_on(caller)
    return caller


def states(*answers):
    return [answer.headers.get("x-lockstep-cache") for answer in answers]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("path, body", [CHAT, MESSAGE, RESPONSE, FOREIGN])
def test_an_identical_request_gets_the_same_bytes_and_no_provider_hears_of_it(
    cached, simulator, path, body, streamed
):
    since = simulator.last_seq()
    body = body | {"stream": streamed}

    first, again = cached.post(path, body), cached.post(path, body)

    assert states(first, again) == ["miss", "hit"]
    assert again.status_code == 200
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert 0 <= int(again.headers["age"]) < 60
    assert again.headers["x-lockstep-call-id"] != first.headers["x-lockstep-call-id"]
    assert len(simulator.settled(since=since)) == 1
    made, repeated = cached.calls()
    assert (repeated.outcome, repeated.status, repeated.attempts) == ("ok", 200, 0)
    assert repeated.explanation["repeats"] == str(made.id)


def test_embeddings_are_repeated_too(cached, simulator):
    since = simulator.last_seq()
    path, body = EMBEDDING

    first, again = cached.post(path, body), cached.post(path, body)

    assert states(first, again) == ["miss", "hit"]
    assert again.content == first.content
    assert len(simulator.settled(since=since)) == 1


def test_the_sdks_read_a_repeated_stream_like_the_first(cached):
    def ask() -> str:
        chunks = cached.openai.chat.completions.create(**CHAT[1], stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    first, again = ask(), ask()

    assert again == first != ""


def test_it_is_off_until_the_tenant_switches_it_on_and_again_after_it_switches_it_off(caller, simulator):
    since = simulator.last_seq()
    path, body = CHAT
    off = [caller.post(path, body) for _ in range(2)]
    switch_on(caller)
    on = [caller.post(path, body) for _ in range(2)]
    with in_tenant(caller.tenant):
        governance.set_answer_cache(actor=OWNER, enabled=False, seconds=600, models=())

    after = caller.post(path, body)

    assert states(*off, *on, after) == [None, None, "miss", "hit", None]
    assert len(simulator.settled(since=since)) == 4


@pytest.mark.parametrize("percent, share", [(None, "0"), (0, "0"), (25, "0.25"), (100, "1")])
def test_a_hit_costs_nothing_and_is_charged_the_plans_share_to_the_last_digit(cached, percent, share):
    if percent is not None:
        with control_plane(), in_tenant(cached.tenant):
            entitle(limits=ROOMY | {"cached_answer_percent": percent})
    path, body = CHAT

    cached.post(path, body)
    cached.post(path, body)

    full, hit = cached.events()
    assert (hit.provider, hit.usage_source, hit.anomaly, hit.cost) == ("cache", "cache", "", Decimal(0))
    assert (hit.input_tokens, hit.output_tokens) == (full.input_tokens, full.output_tokens)
    assert hit.price == full.price * Decimal(share)
    assert full.price > 0
    assert hit.price == sum(Decimal(line["price"]) for line in hit.lines)
    for line, before in zip(hit.lines, full.lines, strict=True):
        assert Decimal(line["price"]) == Decimal(line["price_per_million"]) * line["quantity"] / 1_000_000
        assert line["price_id"] != before["price_id"]


def test_hits_count_against_budgets_and_rates_like_calls(new_caller):
    caller = new_caller(requests_per_minute=3, spend_per_month="1")
    switch_on(caller)
    path, body = CHAT

    answers = [caller.post(path, body) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert states(*answers[:3]) == ["miss", "hit", "hit"]
    assert answers[3].json()["error"]["code"] == "rate_limit_exceeded"


def test_another_tenant_never_gets_the_answer(cached, new_caller, simulator):
    other = new_caller()
    switch_on(other)
    since = simulator.last_seq()
    path, body = CHAT

    mine, theirs = cached.post(path, body), other.post(path, body)

    assert states(mine, theirs) == ["miss", "miss"]
    assert len(simulator.settled(since=since)) == 2


def test_keys_of_a_tenant_share_answers_but_live_and_test_do_not(cached, simulator):
    path, body = CHAT
    cached.post(path, body)
    with in_tenant(cached.tenant):
        live, test = make_key(), make_key(environment=Environment.TEST)

    answers = [
        cached.post(path, body, headers={"authorization": f"Bearer {key.secret}"}) for key in (live, test)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert states(*answers) == ["hit", "miss"]


def test_a_key_that_may_not_use_the_model_gets_nothing_from_memory(cached):
    path, body = CHAT
    cached.post(path, body)
    with in_tenant(cached.tenant):
        narrow = make_key(models_allowed=["gpt-4o"])

    refused = cached.post(path, body, headers={"authorization": f"Bearer {narrow.secret}"})

    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "model_not_allowed_for_key"


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "again?"}]},
        {"temperature": 0.1},
        {"user": "somebody"},
        {"seed": 1},
    ],
)
def test_a_request_that_differs_in_anything_is_another(cached, change):
    path, body = CHAT
    cached.post(path, body)

    assert states(cached.post(path, body | change)) == ["miss"]


def test_a_header_that_changes_the_answer_makes_it_another(cached):
    path, body = MESSAGE
    cached.post(path, body)

    answer = cached.post(path, body, headers={"anthropic-beta": "interleaved-thinking-2025-05-14"})

    assert states(answer) == ["miss"]


def test_a_call_may_leave_the_cache_alone_ask_anew_or_want_a_younger_answer(cached, simulator):
    since = simulator.last_seq()
    path, body = CHAT

    def ask(wish=None):
        return cached.post(path, body, headers={"cache-control": wish} if wish else {})

    untouched = [ask("no-store"), ask("no-store")]
    first, refreshed, younger, last = ask(), ask("max-age=60, no-cache"), ask("max-age=0"), ask()

    assert states(*untouched) == ["bypass", "bypass"]
    assert states(first, refreshed, younger, last) == ["miss", "bypass", "miss", "hit"]
    assert last.content == younger.content
    assert len(simulator.settled(since=since)) == 5


def test_only_the_models_that_were_named_are_concerned(caller):
    switch_on(caller, models=["gpt-4o"])

    other = [caller.post(*CHAT) for _ in range(2)]
    named = [caller.post(*RESPONSE) for _ in range(2)]

    assert states(*other, *named) == [None, None, "miss", "hit"]


@pytest.mark.parametrize(
    "fault, status",
    [
        ({"status": 400}, 400),
        ({"no_usage": True}, 200),
        ({"negative_usage": True}, 200),
        ({"text": "long " * 60_000}, 200),
    ],
)
def test_what_failed_or_was_doubtful_or_is_too_large_is_not_kept(cached, simulator, fault, status):
    simulator.add_fault(fault, match={"model": "gpt-4o-mini"}, times=1)
    path, body = CHAT

    first, again = cached.post(path, body), cached.post(path, body)

    assert (first.status_code, again.status_code) == (status, 200)
    assert states(first, again) == ["miss", "miss"]


@pytest.mark.parametrize("fault", [{"cut_after_chunks": 4}, {"no_terminal": True}, {"mid_stream_error": 3}])
def test_a_stream_that_was_not_whole_is_not_kept(cached, simulator, fault):
    simulator.add_fault(fault, match={"model": "gpt-4o-mini"}, times=1)
    path, body = CHAT

    first, again = (cached.post(path, body | {"stream": True}) for _ in range(2))

    assert states(first, again) == ["miss", "miss"]
    assert again.content.endswith(b"data: [DONE]\n\n")


def test_tools_that_run_at_the_provider_are_asked_each_time(cached):
    path, body = RESPONSE
    body = body | {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://example.com"}]}

    answers = [cached.post(path, body) for _ in range(2)]

    assert states(*answers) == ["bypass", "bypass"]


def test_a_change_of_plan_starts_afresh(cached):
    path, body = CHAT
    cached.post(path, body)
    with control_plane(), in_tenant(cached.tenant):
        entitle(plan_version=2)

    assert states(cached.post(path, body), cached.post(path, body)) == ["miss", "hit"]


def test_a_new_key_leaves_kept_answers_in_use_and_switching_off_and_on_does_not(cached):
    path, body = CHAT
    cached.post(path, body)
    with in_tenant(cached.tenant):
        make_key(name="another")
    after_a_key = cached.post(path, body)
    with in_tenant(cached.tenant):
        governance.set_answer_cache(actor=OWNER, enabled=False, seconds=600, models=())
    switch_on(cached)

    assert states(after_a_key, cached.post(path, body)) == ["hit", "miss"]


def test_an_answer_ends_with_its_time(caller):
    switch_on(caller, seconds=1)
    path, body = CHAT
    first = caller.post(path, body)

    wait_for(lambda: not entries(caller))

    assert states(first, caller.post(path, body)) == ["miss", "miss"]


def test_a_repetition_by_name_of_a_hit_is_no_second_charge(cached):
    path, body = CHAT
    cached.post(path, body)
    named = {"idempotency-key": "once"}

    hit, again = (cached.post(path, body, headers=named) for _ in range(2))

    assert states(hit, again) == ["hit", None]
    assert again.headers["x-lockstep-idempotent-replay"] == "true"
    assert again.content == hit.content
    assert len(cached.events()) == 2


def test_twenty_at_once_are_all_answered_and_each_is_recorded(cached):
    path, body = CHAT

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: cached.post(path, body), range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert set(states(*answers)) <= {"miss", "hit"}
    assert len(cached.events()) == 20
    assert states(cached.post(path, body)) == ["hit"]


def test_nothing_of_request_or_answer_can_be_read_in_valkey(cached):
    path, body = CHAT
    said = cached.post(path, body).json()["choices"][0]["message"]["content"]

    (stored,) = entries(cached).values()

    assert said.encode() not in stored
    assert b"Again?" not in stored
    assert b"gpt-4o-mini" not in stored


def test_one_tenants_answer_moved_to_another_is_of_no_use(cached, new_caller):
    other = new_caller()
    switch_on(other)
    path, body = CHAT
    cached.post(path, body)
    other.post(path, body)
    valkey, (theirs,) = client(), entries(other)
    valkey.set(theirs, next(iter(entries(cached).values())))

    assert states(other.post(path, body)) == ["miss"]


def test_a_damaged_answer_is_a_miss(cached):
    path, body = CHAT
    cached.post(path, body)
    (name,) = entries(cached)
    client().set(name, b"\x01damaged")

    assert states(cached.post(path, body), cached.post(path, body)) == ["miss", "hit"]


def test_answers_of_a_tenant_take_no_more_memory_than_allowed(new_caller, services, simulator):
    caller = new_caller()
    switch_on(caller)
    with running_web(services, ANSWER_CACHE_TENANT_BYTES="4000") as small:
        caller.web = small
        answers = [caller.chat(f"Number {number}") for number in range(12)]
        last = caller.chat("Number 11")

    kept = entries(caller)
    assert [answer.status_code for answer in answers] == [200] * 12
    assert sum(map(len, kept.values())) <= 4000
    assert 1 <= len(kept) < 12
    assert states(last) == ["hit"]


def test_without_valkey_a_throughput_limited_tenant_is_served_and_nothing_is_repeated(new_caller, services):
    caller = new_caller(requests_per_minute=6000)
    switch_on(caller)
    assert states(caller.chat(), caller.chat()) == ["miss", "hit"]

    with running_web(services, VALKEY_URL="redis://127.0.0.1:1/0") as cut_off:
        caller.web = cut_off
        answer = caller.chat()

    assert answer.status_code == 200
    assert states(answer) == ["bypass"]


def client():
    from django.conf import settings

    return redis.Redis.from_url(settings.VALKEY_URL)


def entries(caller):
    """What is kept for a tenant, by key."""
    valkey = client()
    names = [
        name
        for name in valkey.keys(f"lockstep:{{{caller.tenant.id.hex}}}:answer:*")
        if not name.endswith((b":ends", b":sizes"))
    ]
    return {name: valkey.get(name) for name in names}
