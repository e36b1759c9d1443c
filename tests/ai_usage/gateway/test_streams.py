"""Streams that end well, end badly, or lose their reader: what was produced is charged, exactly once."""

import json
import socket
from decimal import Decimal

import openai
import pytest

from tests.system import wait_for

ASK = {"messages": [{"role": "user", "content": "Tell a long story."}]}


def raw_stream(caller, body: dict) -> socket.socket:
    """A streaming request on a bare socket, so that a test can hang up whenever it likes."""
    encoded = json.dumps(body).encode()
    client = socket.create_connection(("127.0.0.1", caller.web.port), timeout=20)
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer "
        + caller.secret.encode()
        + b"\r\ncontent-length: "
        + str(len(encoded)).encode()
        + b"\r\n\r\n"
        + encoded
    )
    return client


@pytest.fixture
def fault(simulator):
    """Adds a rule for one test and takes it away."""
    yield simulator.add_fault
    simulator.reset()


def test_a_client_that_hangs_up_pays_exactly_for_what_the_provider_produced(caller, simulator, fault):
    since = simulator.last_seq()
    fault({"output_tokens": 40, "between_chunks_ms": 20}, match={"model": "gpt-4o-mini"}, times=1)
    client = raw_stream(caller, {"model": "gpt-4o-mini", "stream": True} | ASK)
    client.recv(1024)
    client.close()

    (event,) = wait_for(caller.events)

    (served,) = simulator.settled(since=since)
    assert event.usage_source == "drained"
    assert event.output_tokens == served["usage"]["completion_tokens"] == 40
    assert wait_for(caller.calls)[0].outcome == "client_gone"


def test_a_stream_that_breaks_off_is_charged_by_estimate_and_says_so_to_the_client(caller, simulator, fault):
    fault({"output_tokens": 50, "cut_after_chunks": 5}, match={"model": "gpt-4o-mini"}, times=1)

    with pytest.raises(openai.APIError) as broken:
        list(caller.openai.chat.completions.create(model="gpt-4o-mini", stream=True, **ASK))

    assert "broke off" in str(broken.value)
    (event,) = caller.events()
    assert event.usage_source == "estimated"
    assert event.output_tokens > 0
    assert event.price > 0
    (call,) = caller.calls()
    assert (call.status, call.outcome) == (200, "cut")


def test_a_provider_that_never_says_its_usage_is_estimated_never_free(caller, fault):
    fault({"no_usage": True}, match={"model": "gpt-4o-mini"}, times=2)

    caller.openai.chat.completions.create(model="gpt-4o-mini", **ASK)
    list(caller.openai.chat.completions.create(model="gpt-4o-mini", stream=True, **ASK))

    plain, streamed = caller.events()
    assert (plain.usage_source, streamed.usage_source) == ("estimated", "estimated")
    assert plain.anomaly == "usage_missing"
    assert min(plain.price, streamed.price) > 0


def test_negative_usage_is_an_anomaly_and_still_costs(caller, fault):
    fault({"negative_usage": True}, match={"model": "gpt-4o-mini"}, times=1)

    caller.openai.chat.completions.create(model="gpt-4o-mini", **ASK)

    (event,) = caller.events()
    assert event.anomaly
    assert event.price > 0


def test_bytes_cut_anywhere_arrive_whole_and_are_metered_exactly(caller, simulator, fault):
    since = simulator.last_seq()
    fault({"split_bytes": 7, "output_tokens": 30}, match={"model": "gpt-4o"}, times=1)

    chunks = list(caller.openai.chat.completions.create(model="gpt-4o", stream=True, **ASK))

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text
    assert event.output_tokens == served["usage"]["completion_tokens"]
    assert (event.usage_source, event.anomaly) == ("provider", "")


def test_a_retry_after_an_overloaded_provider_is_charged_once_and_both_attempts_are_recorded(
    caller, simulator, fault
):
    since = simulator.last_seq()
    fault({"status": 503}, match={"model": "gpt-4o-mini"}, times=1)

    answer = caller.chat()

    assert answer.status_code == 200
    assert answer.headers["x-lockstep-attempts"] == "2"
    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert (
        event.price
        == Decimal(served["usage"]["prompt_tokens"]) * Decimal("0.18") / 1_000_000
        + Decimal(served["usage"]["completion_tokens"]) * Decimal("0.72") / 1_000_000
    )


@pytest.mark.parametrize(
    ("effect", "status", "code"),
    [
        ({"status": 500}, 502, "provider_failed"),
        ({"status": 401}, 502, "provider_refused_us"),
        ({"redirect": True}, 502, "provider_failed"),
        ({"wrong_content_type": True}, 502, "provider_failed"),
        ({"gzip_bomb": True}, 502, "provider_failed"),
    ],
)
def test_a_provider_that_fails_for_good_is_a_5xx_in_our_words_and_costs_nothing(
    caller, fault, effect, status, code
):
    fault(effect, match={"model": "gpt-4o"})

    answer = caller.chat(model="gpt-4o")

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    (call,) = wait_for(caller.calls)
    assert all(event.price == 0 and event.anomaly == "lost:bad_answer" for event in caller.events())
    assert (call.outcome, call.error_code) == ("failed", code)
    assert call.attempts >= 1


def test_a_request_the_provider_finds_wrong_is_answered_in_its_words(caller, fault):
    fault(
        {"status": 400, "error_type": "invalid_request_error", "error_code": "unknown_parameter"},
        match={"model": "gpt-4o"},
        times=1,
    )

    answer = caller.chat(model="gpt-4o")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unknown_parameter"
    assert caller.events() == []


def test_a_stream_that_breaks_before_its_first_byte_is_tried_again_unnoticed(caller, simulator, fault):
    fault({"close_after_chunks": 0}, match={"model": "gpt-4o-mini", "stream": True}, times=1)

    chunks = list(caller.openai.chat.completions.create(model="gpt-4o-mini", stream=True, **ASK))

    assert any(chunk.choices and chunk.choices[0].delta.content for chunk in chunks)
    (call,) = caller.calls()
    assert (call.outcome, call.attempts) == ("ok", 2)
