"""Spans of calls at a real collector: what was asked of whom and what it came to, and never what was said."""

from dataclasses import replace
from decimal import Decimal

import pytest
import requests

from apps.governance import services as governance
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from tests.ai_usage.gateway.collector import attributes, running_collector
from tests.system import running_web, wait_for

SERVER, CLIENT, ERROR = 2, 3, 2
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Trace me."}], "max_tokens": 40}


@pytest.fixture(scope="module")
def collector():
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced_web(services, simulator, collector):
    with running_web(
        services, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_HEADERS="x-team=obs"
    ) as web:
        yield web


@pytest.fixture
def traced(caller, traced_web):
    return replace(caller, web=traced_web)


def spans_of(collector, answer):
    name = answer.headers["x-lockstep-call-id"]
    wait_for(lambda: collector.of_call(name)[0])
    return collector.of_call(name)


def test_a_call_is_a_span_with_one_inside_for_its_attempt(traced, collector, simulator):
    since = simulator.last_seq()

    answer = traced.post("/v1/chat/completions", CHAT)
    call, (attempt,) = spans_of(collector, answer)

    (served,) = simulator.settled(since=since)
    (event,) = traced.events()
    said = attributes(call)
    assert (call.name, call.kind, attempt.name, attempt.kind) == (
        "chat gpt-4o-mini", SERVER, "chat gpt-4o-mini", CLIENT,
    )  # fmt: skip
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "gpt-4o-mini"
    assert said["gen_ai.request.max_tokens"] == 40
    assert said["gen_ai.response.model"] == event.served_model
    assert said["gen_ai.response.id"] == served["response_id"]
    assert said["gen_ai.usage.input_tokens"] == event.input_tokens
    assert said["gen_ai.usage.output_tokens"] == event.output_tokens
    assert (Decimal(said["lockstep.cost"]), Decimal(said["lockstep.price"])) == (event.cost, event.price)
    assert said["lockstep.tenant.ref"] == traced.tenant.ref
    assert said["lockstep.key.id"] == str(traced.key_id)
    assert said["http.response.status_code"] == 200
    theirs = attributes(attempt)
    assert theirs["server.address"] == "127.0.0.1"
    assert theirs["server.port"] > 0
    assert theirs["gen_ai.usage.output_tokens"] == event.output_tokens
    assert attempt.trace_id == call.trace_id
    assert call.start_time_unix_nano <= attempt.start_time_unix_nano <= attempt.end_time_unix_nano
    assert attempt.end_time_unix_nano <= call.end_time_unix_nano
    assert collector.headers[-1]["x-team"] == "obs"


def test_each_try_is_a_span_and_a_failed_one_says_how(traced, collector, simulator):
    simulator.add_fault({"status": 503}, match={"model": "gpt-4o-mini"}, times=1)

    call, attempts = spans_of(collector, traced.post("/v1/chat/completions", CHAT | {"stream": True}))

    outcomes = [(attributes(one).get("error.type"), one.status.code) for one in attempts]
    assert outcomes == [("overloaded", ERROR), (None, 0)]
    assert [attributes(one)["lockstep.attempt.number"] for one in attempts] == [1, 2]
    assert call.status.code == 0
    assert attributes(call)["gen_ai.request.stream"] is True
    assert attributes(call)["gen_ai.response.time_to_first_chunk"] >= 0


def test_a_refused_call_says_why_and_asked_nobody(new_caller, traced_web, collector):
    poor = replace(new_caller(spend_per_month="0.0000001"), web=traced_web)

    call, attempts = spans_of(collector, poor.post("/v1/chat/completions", CHAT))

    said = attributes(call)
    assert attempts == []
    assert (said["error.type"], said["lockstep.refusal.code"]) == ("budget_exhausted", "budget_exhausted")
    assert call.status.code == ERROR


def test_an_answer_from_memory_is_a_call_without_attempts(traced, collector):
    with in_tenant(traced.tenant):
        governance.set_answer_cache(actor=Actor.system("tests"), enabled=True, seconds=60, models=())
    traced.post("/v1/chat/completions", CHAT)

    call, attempts = spans_of(collector, traced.post("/v1/chat/completions", CHAT))

    assert attempts == []
    assert attributes(call)["lockstep.cache"] == "hit"
    assert attributes(call)["lockstep.cost"] == "0"


def test_a_clients_trace_is_linked_and_not_joined_and_its_state_is_left_behind(traced, collector):
    headers = {"traceparent": TRACEPARENT, "tracestate": "vendor=private"}

    call, _ = spans_of(collector, traced.post("/v1/chat/completions", CHAT, headers=headers))

    (link,) = call.links
    assert (link.trace_id.hex(), link.span_id.hex()) == (TRACE, SPAN)
    assert call.trace_id.hex() != TRACE
    assert not any(b"vendor=private" in body for body in collector.bodies)


@pytest.mark.parametrize("given", ["", "00-zz-zz-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ü"])
def test_a_malformed_trace_is_ignored(traced, collector, given):
    call, _ = spans_of(
        collector, traced.post("/v1/chat/completions", CHAT, headers={"traceparent": given.encode()})
    )

    assert list(call.links) == []


def test_a_trusted_clients_trace_is_joined_and_what_waits_is_sent_at_the_end(caller, services, collector):
    with running_web(
        services, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACEPARENT_OF_CLIENTS="parent"
    ) as web:
        joined = replace(caller, web=web)
        answer = joined.post("/v1/chat/completions", CHAT, headers={"traceparent": TRACEPARENT})

    call, attempts = collector.of_call(answer.headers["x-lockstep-call-id"])
    assert call.trace_id.hex() == TRACE
    assert call.parent_span_id.hex() == SPAN
    assert len(attempts) == 1


def test_a_collector_that_is_away_fails_no_call(caller, services):
    with running_web(services, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") as web:
        alone = replace(caller, web=web)
        answers = [alone.post("/v1/chat/completions", CHAT) for _ in range(20)]

    assert [answer.status_code for answer in answers] == [200] * 20


MARK = "xyzzy-marked-secret"


def test_no_word_of_a_client_or_a_provider_is_in_spans_logs_or_metrics(traced, collector, simulator):
    said = f"my password is {MARK}"
    echo = {"status": 400, "error_message": f"cannot take {MARK}", "error_code": MARK, "error_type": MARK}
    marked = {"user": MARK, "metadata": {"note": MARK}}
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}]}
    tool = {"type": "function", "function": {"name": f"tool_{MARK}", "parameters": {}, "description": said}}
    message = {
        "model": "claude-sonnet-5-5", "max_tokens": 50, "system": said,
        "messages": [{"role": "user", "content": said}],
    }  # fmt: skip
    headers = {"idempotency-key": MARK, "user-agent": MARK, "x-anything": MARK, "tracestate": f"a={MARK}"}
    before = len(collector.spans)

    def send(path, body, **more):
        return traced.post(
            path, body, headers=headers | {"idempotency-key": f"{MARK}-{path}-{len(str(body))}"}, **more
        )

    answers = [
        send("/v1/chat/completions", chat | marked),
        send("/v1/chat/completions", chat | {"tools": [tool]}),
        send("/v1/chat/completions", chat | {"stream": True}),
        send("/v1/responses", {"model": "gpt-4o", "input": said, "instructions": said}),
        send("/v1/responses", {"model": "gpt-4o", "input": said, "background": True}),
        send("/v1/embeddings", {"model": "text-embedding-3-small", "input": said}),
        send("/v1/messages", message),
        send("/v1/messages", message | {"stream": True, "model": "gpt-4o-mini"}),
        send("/v1/messages/count_tokens", message),
        send("/v1/chat/completions", chat | {"model": MARK}),
        send("/v1/chat/completions", chat | {"n": MARK}),
        requests.post(
            f"{traced.web.url}/v1/chat/completions", data=said, headers={"x-api-key": MARK}, timeout=10
        ),
        requests.post(f"{traced.web.url}/v1/{MARK}", json=chat, headers=headers, timeout=10),
    ]
    simulator.add_fault(echo, match={"model": "gpt-4o-mini"}, times=1)
    answers.append(send("/v1/chat/completions", chat | {"seed": 7}))
    simulator.add_fault(
        {"mid_stream_error": 2, "error_message": MARK}, match={"model": "gpt-4o-mini"}, times=1
    )
    answers.append(send("/v1/chat/completions", chat | {"stream": True, "seed": 8}))
    simulator.add_fault({"served_model": f"gpt {MARK}"}, match={"model": "gpt-4o-mini"}, times=1)
    answers.append(send("/v1/chat/completions", chat | {"seed": 9}))
    recorded = [answer for answer in answers if answer.headers.get("x-lockstep-attempts")]
    for answer in recorded:
        spans_of(collector, answer)

    metrics = requests.get(f"{traced.web.url}/metrics", timeout=10).text
    logs = traced.web.log.read_text()
    assert len(recorded) >= 8
    assert len(collector.spans) >= before + 2 * len(recorded)
    for secret in (MARK, "password", traced.secret, traced.secret[-20:], "sk-test", "Bearer "):
        assert not any(secret.encode() in body for body in collector.bodies), secret
        assert secret not in metrics, secret
        assert secret not in logs, secret
