"""Providers that lie: contained, recorded, and never a reason to charge nothing or too much."""

import uuid
from decimal import Decimal

import pytest

from tests.ai_usage.gateway.conftest import make_caller
from tests.factories.tenants import make_tenant
from tests.planes import control_plane
from tests.system import running_web, wait_for

MOST = 1024 * 1024
ASK = {"messages": [{"role": "user", "content": "Tell me about the sea."}], "max_tokens": 30}
MESSAGE = {"model": "claude-sonnet-5-5"} | ASK


@pytest.fixture(scope="module")
def strict_web(services, simulator):
    """A web process that takes a megabyte of an answer, no more."""
    with running_web(services, GATEWAY_MAX_RESPONSE=str(MOST)) as web:
        yield web


@pytest.fixture(scope="module")
def liars_customer(strict_web, django_db_setup, django_db_blocker):
    """A tenant with a budget that no lie may exhaust."""
    with django_db_blocker.unblock(), control_plane():
        tenant = make_tenant(f"t{uuid.uuid4().hex[:12]}", spend_per_month="1")
        return make_caller(tenant, strict_web)


@pytest.fixture
def caller(liars_customer, committed):
    """The same one for every lie; `events_of` finds those of one call."""
    return liars_customer


def events_of(caller, answer):
    """The events of the call that was answered so."""
    called = answer.headers["x-lockstep-call-id"]
    return wait_for(lambda: [event for event in caller.events() if str(event.call_id) == called])


@pytest.fixture
def lie(simulator):
    """Adds a rule for one test and takes it away."""
    yield simulator.add_fault
    simulator.reset()


WHOLE_LIES = {
    "created": {"told_status": 201},
    "no content": {"told_status": 204, "body": ""},
    "partial content": {"told_status": 206},
    "an error as success": {"body": '{"error": {"message": "Overloaded", "type": "server_error"}}'},
    "a list": {"body": "[1, 2]"},
    "a text": {"body": '"all is well"'},
    "nothing": {"body": ""},
    "half of the JSON": {"invalid_json": True},
    "no UTF-8": {"body": '{"id": "\xff\xfe", "choices": []}'},
    "markup": {"wrong_content_type": "text/html", "body": "<html>502</html>"},
    "a stream nobody asked for": {"wrong_content_type": "text/event-stream", "body": "data: {}\n\n"},
    "a bomb": {"gzip_bomb": 64},
    "half a bomb": {"headers": {"content-encoding": "gzip"}, "body": "\x1f\x8b\x08\x00\x00"},
    "another encoding": {"headers": {"content-encoding": "br"}},
    "an endless body": {"endless_body": True},
    "an early end": {"cut_after_bytes": 40},
}


@pytest.mark.parametrize("effect", WHOLE_LIES.values(), ids=WHOLE_LIES.keys())
@pytest.mark.parametrize(
    ("path", "body"), [("/v1/chat/completions", ASK | {"model": "gpt-4o-mini"}), ("/v1/messages", MESSAGE)]
)
def test_what_is_no_answer_is_a_502_that_the_caller_does_not_pay_for(caller, lie, effect, path, body):
    lie(effect)

    answer = caller.post(path, body)

    assert (answer.status_code, answer.headers["x-lockstep-code"]) == (502, "provider_failed")
    events = events_of(caller, answer)
    assert 1 <= len(events) <= 3
    for event in events:
        # The provider said that it succeeded, so it may charge the operator.
        assert event.anomaly in ("lost:bad_answer", "lost:cut")
        assert (event.price, event.usage_source) == (Decimal(0), "estimated")
        assert event.cost > 0


@pytest.mark.parametrize(
    "effect",
    [
        {"redirect": "http://169.254.169.254/latest/meta-data"},
        {"redirect": "/_redirected"},
        {"redirect": "file:///etc/passwd"},
    ],
)
def test_a_redirect_is_never_followed(caller, lie, simulator, effect):
    lie(effect)
    since = simulator.last_seq()

    answer = caller.chat()

    assert answer.status_code == 502
    assert [
        entry for entry in simulator.served(since=since, billed="any") if entry["endpoint"] == "redirected"
    ] == []
    assert [
        event for event in caller.events() if str(event.call_id) == answer.headers["x-lockstep-call-id"]
    ] == []


def test_heads_without_end_and_heads_too_large_are_a_failure_of_the_provider(caller, lie):
    lie({"headers": {"x-large": "a" * 100_000}})

    answer = caller.chat()

    assert (answer.status_code, answer.headers["x-lockstep-code"]) == (502, "provider_failed")


def test_interim_answers_are_passed_over(caller, lie):
    lie({"interim": 20})

    answer = caller.chat()

    assert answer.status_code == 200
    (event,) = events_of(caller, answer)
    assert (event.usage_source, event.anomaly) == ("provider", "")


USAGES = {
    "negative": {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12},
    "text": {"prompt_tokens": "12", "completion_tokens": "many", "total_tokens": None},
    "fractions": {"prompt_tokens": 1.5, "completion_tokens": 2.5, "total_tokens": 4.0},
    "objects": {"prompt_tokens": {"a": 1}, "completion_tokens": [], "total_tokens": True},
    "absurd": {"prompt_tokens": 10**12, "completion_tokens": 10**15, "total_tokens": 10**15},
    "beyond 64 bits": {"prompt_tokens": 18446744073709551615, "completion_tokens": 3, "total_tokens": 5},
    "nothing at all": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "more than was asked for": {"completion_tokens": 50_000_000},
    "a sum that is none": {"total_tokens": 900},
    "more cached than there is": {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 5000}},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("told", USAGES.values(), ids=USAGES.keys())
def test_usage_that_cannot_be_is_an_anomaly_neither_free_nor_ruinous(caller, lie, told, stream):
    lie({"reported_usage": told})

    answer = caller.chat(stream=stream, max_tokens=30)

    assert answer.status_code == 200
    (event,) = events_of(caller, answer)
    assert event.anomaly
    assert Decimal(0) < event.price < Decimal("0.01")
    assert event.input_tokens >= 0
    assert event.output_tokens >= 0
    assert event.raw_usage


@pytest.mark.parametrize("stream", [False, True])
def test_usage_that_is_missing_is_estimated_and_marked(caller, lie, stream):
    lie({"no_usage": True})

    answer = caller.chat(stream=stream)

    assert answer.status_code == 200
    (event,) = events_of(caller, answer)
    assert (event.usage_source, event.anomaly) == ("estimated", "usage_missing")
    assert event.price > 0


STREAM_LIES = {
    "an endless stream": ({"endless_body": True}, "estimated"),
    "an endless line": ({"endless_line": True}, "estimated"),
    "no end": ({"no_terminal": True, "no_usage": True}, "estimated"),
    "an end that comes twice": ({"duplicate_terminal": True}, "provider"),
    "usage that comes twice": ({"duplicate_usage": True}, "provider"),
    "noise between": ({"malformed_sse": True}, "provider"),
    "one piece at a time": ({"split_bytes": 7}, "provider"),
}


@pytest.mark.parametrize(("effect", "source"), STREAM_LIES.values(), ids=STREAM_LIES.keys())
def test_a_stream_that_lies_ends_and_is_charged_once(caller, lie, effect, source):
    lie(effect | {"per": 4})

    answer = caller.chat(stream=True, max_tokens=30)

    assert answer.status_code == 200
    assert len(answer.content) < 4 * MOST
    (event,) = events_of(caller, answer)
    assert event.usage_source == source
    assert 0 <= event.output_tokens <= 30
    assert Decimal(0) < event.price < Decimal("0.01")


def test_an_answer_of_another_model_than_was_asked_for_is_priced_and_marked(caller, lie):
    lie({"served_model": "somebody-elses-model"})

    answer = caller.chat()

    assert answer.status_code == 200
    (event,) = events_of(caller, answer)
    assert event.served_model == "somebody-elses-model"
    assert event.anomaly == "unpriced_model"
    assert event.price > 0


def test_a_lie_is_seen_in_the_calls_detail_and_in_the_metrics(caller, lie):
    lie({"reported_usage": {"completion_tokens": -7}})
    answer = caller.chat()

    metrics = caller.get("/metrics").text

    (event,) = events_of(caller, answer)
    assert event.anomaly
    assert f'lockstep_usage_anomalies_total{{anomaly="{event.anomaly.partition(":")[0]}"}}' in metrics
