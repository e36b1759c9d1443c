"""Idempotency-Key: one name, one call, one charge, and the same answer to every repetition."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import openai
import pytest
from django.utils import timezone

from apps.ai_usage.models import IdempotentCall
from apps.tenancy.services import in_tenant

CHAT = ("/v1/chat/completions", {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Once."}]})
MESSAGE = (
    "/v1/messages",
    {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Once."}]},
)
EMBEDDING = ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "Once."})


def named(name: str) -> dict[str, str]:
    return {"idempotency-key": name}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("path, body", [CHAT, MESSAGE])
def test_a_repetition_gets_the_same_bytes_and_neither_provider_nor_ledger_hears_of_it(
    caller, simulator, path, body, streamed
):
    since = simulator.last_seq()
    first = caller.post(path, body | {"stream": streamed}, headers=named("order-1"))

    again = caller.post(path, body | {"stream": streamed}, headers=named("order-1"))

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-lockstep-idempotent-replay"] == "true"
    assert again.headers["x-lockstep-call-id"] == first.headers["x-lockstep-call-id"]
    assert "x-lockstep-idempotent-replay" not in first.headers
    assert len(simulator.settled(since=since)) == len(caller.events()) == len(caller.calls()) == 1


def test_embeddings_are_repeated_too(caller, simulator):
    since = simulator.last_seq()
    path, body = EMBEDDING

    first, again = (caller.post(path, body, headers=named("e-1")) for _ in range(2))

    assert again.content == first.content
    assert len(simulator.settled(since=since)) == len(caller.events()) == 1


def test_a_background_response_is_promised_once(caller):
    body = {"model": "gpt-4o-mini", "input": "Later.", "background": True}

    first, again = (caller.post("/v1/responses", body, headers=named("b-1")) for _ in range(2))

    assert first.status_code == 200
    assert again.json() == first.json()
    assert again.headers["x-lockstep-idempotent-replay"] == "true"


def test_twenty_at_once_make_one_provider_call_and_one_charge(caller, simulator):
    since = simulator.last_seq()
    path, body = CHAT
    slow = body | {"model": "gpt-4o-mini"}
    simulator.add_fault({"latency_ms": 400}, match={"model": "gpt-4o-mini"}, times=1)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: caller.post(path, slow, headers=named("burst")), range(20)))

    statuses = [answer.status_code for answer in answers]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert set(statuses) == {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert {answer.json()["error"]["code"] for answer in refused} == {"idempotency_in_progress"}
    assert all(int(answer.headers["retry-after"]) == 1 for answer in refused)
    assert len(simulator.settled(since=since)) == len(caller.events()) == 1


def test_the_sdks_own_retries_wait_for_the_first_answer(caller, simulator):
    simulator.add_fault({"latency_ms": 900}, match={"model": "gpt-4o-mini"}, times=1)
    client = openai.OpenAI(api_key=caller.secret, base_url=f"{caller.web.url}/v1", max_retries=4)

    def ask(_: int) -> str:
        answer = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "Patience."}],
            extra_headers=named("sdk"),
        )
        return answer.id

    with ThreadPoolExecutor(3) as threads:
        ids = set(threads.map(ask, range(3)))

    assert len(ids) == len(caller.events()) == 1


def test_another_tenants_same_key_and_body_is_another_call(caller, new_caller, simulator):
    since = simulator.last_seq()
    other = new_caller()
    path, body = CHAT

    mine, theirs = (one.post(path, body, headers=named("shared")) for one in (caller, other))

    assert (mine.status_code, theirs.status_code) == (200, 200)
    assert "x-lockstep-idempotent-replay" not in theirs.headers
    assert len(simulator.settled(since=since)) == 2
    assert len(caller.events()) == len(other.events()) == 1


@pytest.mark.parametrize("path, body", [CHAT, MESSAGE])
def test_the_same_key_with_another_body_is_refused_in_the_dialect(caller, simulator, path, body):
    caller.post(path, body, headers=named("reused"))
    since = simulator.last_seq()

    answer = caller.post(path, body | {"temperature": 0.5}, headers=named("reused"))

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "idempotency_key_reused"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert simulator.settled(since=since) == []
    assert len(caller.events()) == 1


def test_a_refused_call_gives_its_name_back(new_caller, simulator):
    caller = new_caller(spend_per_month="0.0000001")
    path, body = CHAT

    first, again = (caller.post(path, body, headers=named("poor")) for _ in range(2))

    assert {answer.json()["error"]["code"] for answer in (first, again)} == {"insufficient_quota"}
    assert caller.events() == []
    with in_tenant(caller.tenant):
        assert not IdempotentCall.objects.exists()


def test_a_failed_call_gives_its_name_back_and_the_next_is_made(caller, simulator):
    simulator.add_fault({"status": 400}, match={"model": "gpt-4o-mini"}, times=1)
    path, body = CHAT

    failed, made = (caller.post(path, body, headers=named("flaky")) for _ in range(2))

    assert (failed.status_code, made.status_code) == (400, 200)
    assert "x-lockstep-idempotent-replay" not in made.headers
    assert len(caller.events()) == 1


def test_a_stream_that_broke_off_was_charged_and_is_repeated_as_it_was(caller, simulator):
    simulator.add_fault({"cut_after_chunks": 4}, match={"model": "gpt-4o-mini"}, times=1)
    path, body = CHAT

    first, again = (caller.post(path, body | {"stream": True}, headers=named("cut")) for _ in range(2))

    assert b"stream_interrupted" in first.content
    assert again.content == first.content
    assert len(caller.events()) == 1


def test_an_answer_too_large_to_keep_is_not_charged_again(caller, simulator):
    simulator.add_fault({"text": "long " * 300_000}, match={"model": "gpt-4o-mini"}, times=1)
    path, body = CHAT

    first, again = (caller.post(path, body, headers=named("large")) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 409)
    assert again.json()["error"]["code"] == "idempotency_answer_too_large"
    assert again.headers["x-should-retry"] == "false"
    assert len(caller.events()) == 1


def test_an_answer_that_can_no_longer_be_read_is_not_charged_again(caller):
    path, body = CHAT
    caller.post(path, body, headers=named("lost"))
    with in_tenant(caller.tenant):
        IdempotentCall.objects.update(answer=b"\x01damaged")

    again = caller.post(path, body, headers=named("lost"))

    assert again.status_code == 409
    assert again.json()["error"]["code"] == "idempotency_answer_lost"
    assert len(caller.events()) == 1


def test_the_mark_of_a_process_that_died_lasts_as_long_as_its_lease(caller):
    path, body = CHAT
    caller.post(path, body, headers=named("died"))
    with in_tenant(caller.tenant):
        IdempotentCall.objects.update(
            state="open", answer=None, lease_until=timezone.now() + timedelta(seconds=60)
        )
    held = caller.post(path, body, headers=named("died"))
    with in_tenant(caller.tenant):
        IdempotentCall.objects.update(lease_until=timezone.now())

    taken = caller.post(path, body, headers=named("died"))

    assert (held.status_code, taken.status_code) == (409, 200)
    # The dead call's charge had reached the ledger after all, and there it stays the only one.
    assert len(caller.events()) == 1


def test_a_name_is_free_again_after_its_window(caller, simulator):
    since = simulator.last_seq()
    path, body = CHAT
    caller.post(path, body, headers=named("old"))
    with in_tenant(caller.tenant):
        IdempotentCall.objects.update(expires_at=timezone.now())

    again = caller.post(path, body | {"temperature": 0.1}, headers=named("old"))

    assert again.status_code == 200
    assert len(simulator.settled(since=since)) == len(caller.events()) == 2


def test_answers_are_stored_encrypted(caller):
    path, body = CHAT
    first = caller.post(path, body, headers=named("secret"))

    with in_tenant(caller.tenant):
        (row,) = IdempotentCall.objects.all()

    assert first.json()["choices"][0]["message"]["content"].encode() not in bytes(row.answer)
    assert first.json()["id"].encode() not in bytes(row.answer)


def test_a_revoked_key_gets_no_kept_answer(caller):
    from apps.governance.types import Actor
    from apps.keys.services import revoke_key

    path, body = CHAT
    caller.post(path, body, headers=named("gone"))
    with in_tenant(caller.tenant):
        revoke_key(actor=Actor.system("tests"), key_id=caller.key_id)

    answer = caller.post(path, body, headers=named("gone"))

    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["a" * 256, "with space", "ü"])
def test_a_malformed_key_is_refused(caller, name):
    path, body = CHAT

    answer = caller.post(path, body, headers={"idempotency-key": name.encode()})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_idempotency_key"
    assert caller.events() == []
