"""A process that is asked to stop: calls whose clients have gone are in the ledger all the same."""

import contextlib
import http.client
import json
import signal
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from tests.system import running_web, wait_for


@pytest.fixture
def stopping(services, simulator):
    """A web process of its own that waits for a second, no longer."""
    with running_web(services, GATEWAY_STOP_SECONDS="1") as web:
        yield web
    simulator.reset()


def ask_and_leave(web, caller, simulator, **body):
    """Make a call, hang up as soon as the provider has it, and have the process stopped."""
    since = simulator.last_seq()
    connection = http.client.HTTPConnection(urlsplit(web.url).netloc)
    with contextlib.closing(connection):
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], **body}),
            {"authorization": f"Bearer {caller.secret}", "content-type": "application/json"},
        )
        if body.get("stream"):
            connection.getresponse().read(100)
        wait_for(lambda: simulator.served(since=since))
    web.process.send_signal(signal.SIGTERM)
    web.process.wait(30)
    (served,) = simulator.served(since=since)
    return served


def test_an_answer_that_still_comes_is_charged_exactly(stopping, caller, simulator):
    simulator.add_fault({"latency_ms": 600}, match={"user": "comes"})

    served = ask_and_leave(stopping, caller, simulator, user="comes")

    (event,) = caller.events()
    assert event.id.hex == served["client_request_id"]
    assert event.usage_source == "provider"
    assert (event.input_tokens, event.output_tokens) == (
        served["usage"]["prompt_tokens"],
        served["usage"]["completion_tokens"],
    )
    assert event.price > 0


def test_an_answer_that_does_not_come_in_time_is_the_operators_estimated_cost(stopping, caller, simulator):
    simulator.add_fault({"latency_ms": 60_000}, match={"user": "never"})

    served = ask_and_leave(stopping, caller, simulator, user="never")

    (event,) = caller.events()
    assert event.id.hex == served["client_request_id"]
    assert (event.anomaly, event.usage_source, event.price) == ("lost:stopped", "estimated", Decimal(0))
    assert event.cost > 0
    (call,) = caller.calls()
    assert (call.status, call.error_code) == (503, "stopping")


def test_a_stream_that_goes_on_is_charged_for_what_has_come(stopping, caller, simulator):
    simulator.add_fault({"between_chunks_ms": 200, "output_tokens": 2000}, match={"user": "on and on"})

    served = ask_and_leave(stopping, caller, simulator, user="on and on", stream=True)

    (event,) = caller.events()
    assert event.id.hex == served["client_request_id"]
    assert event.usage_source == "estimated"
    assert event.price > 0
    assert 0 < event.output_tokens < 200
