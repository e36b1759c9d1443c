"""Rules, model names and the `x-sim` header: which requests they reach, and how often."""

import time

import anthropic
import openai
import pytest

from deploy.local.model_simulator.testing import SimulatorControl

HELLO = [{"role": "user", "content": "Hello"}]


def chat(client: openai.OpenAI, model: str = "gpt-4o", **more: object) -> int:
    try:
        client.chat.completions.create(model=model, messages=HELLO, **more)
    except openai.APIStatusError as refused:
        return refused.status_code
    return 200


def test_a_status_named_in_the_model_is_answered_in_the_dialect(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        openai_client.chat.completions.create(model="gpt-4o+sim-status-429+retryafter-7", messages=HELLO)
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        anthropic_client.messages.create(model="sim-status-529", max_tokens=9, messages=HELLO)

    assert limited.value.code == "rate_limit_exceeded"
    assert limited.value.response.headers["retry-after"] == "7"
    assert (overloaded.value.status_code, overloaded.value.type) == (529, "overloaded_error")
    assert simulator.served() == []


def test_a_rule_applies_as_often_as_it_says_to_whom_it_says(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    simulator.add_fault({"status": 503}, match={"model": "gpt-4*", "user": "ada"}, times=2, after=1)

    statuses = [chat(openai_client, user="ada") for _ in range(5)]

    assert statuses == [200, 503, 503, 200, 200]
    assert chat(openai_client, user="bob") == 200
    [rule] = simulator.faults()
    assert (rule["matched"], rule["applied"]) == (3, 2)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"dialect": "openai"}, 500),
        ({"dialect": "anthropic"}, 200),
        ({"endpoint": "chat.completions"}, 500),
        ({"endpoint": "responses"}, 200),
        ({"stream": True}, 200),
        ({"header": {"X-Stainless-Lang": "py*"}}, 500),
        ({"header": {"x-other": "1"}}, 200),
        ({"api_key": "*1234"}, 500),
    ],
)
def test_a_rule_is_matched_by_what_the_request_is(
    openai_client: openai.OpenAI, simulator: SimulatorControl, match: dict[str, object], expected: int
) -> None:
    simulator.add_fault({"status": 500}, match=match)

    assert chat(openai_client) == expected


def test_a_rule_without_effect_counts_what_arrives(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    simulator.add_fault({}, match={"header": {"x-secret": "*"}})
    simulator.add_fault({}, match={"header": {"authorization": "Bearer *"}})

    assert chat(openai_client) == 200

    assert [rule["matched"] for rule in simulator.faults()] == [0, 1]


def test_chance_is_reproducible(openai_client: openai.OpenAI, simulator: SimulatorControl) -> None:
    def outcomes() -> list[int]:
        simulator.reset()
        simulator.add_fault({"status": 500}, probability=0.5, seed=3)
        return [chat(openai_client) for _ in range(12)]

    first, second = outcomes(), outcomes()

    assert first == second
    assert set(first) == {200, 500}


def test_a_rule_goes_further_than_a_header_and_a_header_further_than_a_name(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    openai_client.chat.completions.create(
        model="sim-out-5+cached-1", messages=HELLO, extra_headers={"x-sim": "out=6"}
    )
    rule = simulator.add_fault({"output_tokens": 7})
    openai_client.chat.completions.create(
        model="sim-out-5+cached-1", messages=HELLO, extra_headers={"x-sim": "out=6"}
    )

    first, second = simulator.served()
    assert (first["usage"]["completion_tokens"], second["usage"]["completion_tokens"]) == (6, 7)
    assert (first["rule"], second["rule"]) == (None, rule)
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == 1


def test_the_sdks_retry_what_a_rule_makes_fail_once(simulator: SimulatorControl) -> None:
    simulator.add_fault({"status": 529, "retry_after_ms": 1}, match={"dialect": "anthropic"}, times=1)
    simulator.add_fault({"status": 429, "retry_after": "0.001"}, match={"dialect": "openai"}, times=1)
    openai_client = openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="k", max_retries=1)
    anthropic_client = anthropic.Anthropic(base_url=simulator.url, api_key="k", max_retries=1)

    assert openai_client.chat.completions.create(model="gpt-4o", messages=HELLO).choices
    assert anthropic_client.messages.create(model="claude", max_tokens=9, messages=HELLO).content

    assert [entry["status"] for entry in simulator.served(billed="any")] == [429, 200, 529, 200]
    assert len(simulator.served()) == 2


def test_an_sdk_does_not_retry_when_told_not_to(simulator: SimulatorControl) -> None:
    simulator.add_fault({"status": 429, "should_retry": "false", "error_code": "insufficient_quota"})
    client = openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="k", max_retries=2)

    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")
    assert len(simulator.served(billed="any")) == 1


def test_a_context_too_long_is_refused_in_the_dialect(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.chat.completions.create(model="sim-context-5", messages=HELLO)
    with pytest.raises(anthropic.BadRequestError) as refused_too:
        anthropic_client.messages.create(model="sim-context-5", max_tokens=9, messages=HELLO)

    assert refused.value.code == "context_length_exceeded"
    assert "prompt is too long: 7 tokens > 5 maximum" in str(refused_too.value)


def test_delays_are_kept(openai_client: openai.OpenAI) -> None:
    started = time.monotonic()
    stream = openai_client.chat.completions.create(
        model="sim-latency-50+ttfb-60+chunk-10+out-4", messages=HELLO, stream=True
    )
    headers_after = time.monotonic() - started
    times = [time.monotonic() - started for _ in stream]

    assert 0.05 <= headers_after < 0.11 <= times[0]
    assert times[-1] >= 0.14


def test_a_misspelt_option_is_refused_everywhere(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    with pytest.raises(ValueError, match="no option 'latancy_ms'"):
        simulator.add_fault({"latancy_ms": 5})
    with pytest.raises(ValueError, match="cannot match on colour"):
        simulator.add_fault({"status": 500}, match={"colour": "red"})
    with pytest.raises(openai.BadRequestError, match="no option 'uot'"):
        openai_client.chat.completions.create(model="sim-uot-5", messages=HELLO)

    assert simulator.faults() == []
