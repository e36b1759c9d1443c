"""A call from key to ledger, in both dialects, streaming and not, with the official SDKs."""

from decimal import Decimal

import pytest


def priced(entry: dict, rates: dict[str, str]) -> Decimal:
    """What the test price list (cost plus 20 %) makes of what the simulator would bill."""
    return sum(
        (
            Decimal(entry["usage"][name]) * Decimal(rate) * Decimal("1.2") / 1_000_000
            for name, rate in rates.items()
        ),
        Decimal(0),
    )


def test_a_chat_completion_is_answered_and_stands_in_the_ledger_to_the_last_digit(caller, simulator):
    since = simulator.last_seq()

    answer = caller.openai.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Say hello to the ledger."}]
    )

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert answer.choices[0].message.content
    assert (event.input_tokens, event.output_tokens) == (
        served["usage"]["prompt_tokens"],
        served["usage"]["completion_tokens"],
    )
    assert event.price == priced(served, {"prompt_tokens": "0.15", "completion_tokens": "0.60"})
    assert event.provider_request_id == served["request_id"]
    assert (event.usage_source, event.anomaly) == ("provider", "")
    (call,) = caller.calls()
    assert (call.status, call.outcome, call.price) == (200, "ok", event.price)


@pytest.mark.parametrize("asks_for_usage", [True, False])
def test_a_streamed_chat_shows_usage_only_to_those_who_ask_and_meters_it_always(
    caller, simulator, asks_for_usage
):
    since = simulator.last_seq()
    options = {"stream_options": {"include_usage": True}} if asks_for_usage else {}

    chunks = list(
        caller.openai.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "Count to ten."}],
            stream=True,
            **options,
        )
    )

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert [bool(chunk.usage) for chunk in chunks].count(True) == (1 if asks_for_usage else 0)
    assert event.output_tokens == served["usage"]["completion_tokens"]
    assert event.price == priced(served, {"prompt_tokens": "0.15", "completion_tokens": "0.60"})


@pytest.mark.parametrize("streamed", [True, False])
def test_a_message_is_answered_and_metered_in_anthropics_dialect(caller, simulator, streamed):
    since = simulator.last_seq()
    ask = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "Be brief."}],
    }

    if streamed:
        with caller.anthropic.messages.stream(**ask) as stream:
            message = stream.get_final_message()
    else:
        message = caller.anthropic.messages.create(**ask)

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert message.content[0].text
    assert (message.usage.input_tokens, message.usage.output_tokens) == (
        served["usage"]["input_tokens"],
        served["usage"]["output_tokens"],
    )
    assert event.price == priced(served, {"input_tokens": "3", "output_tokens": "15"})


def test_embeddings_are_charged_for_their_input_alone(caller, simulator):
    since = simulator.last_seq()

    answer = caller.openai.embeddings.create(model="text-embedding-3-small", input=["one", "two words"])

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert len(answer.data) == 2
    assert event.price == priced(served, {"prompt_tokens": "0.02"})


@pytest.mark.parametrize("streamed", [True, False])
def test_responses_are_answered_and_metered(caller, simulator, streamed):
    since = simulator.last_seq()

    if streamed:
        with caller.openai.responses.stream(model="gpt-4o", input="Tell me something.") as stream:
            response = stream.get_final_response()
    else:
        response = caller.openai.responses.create(model="gpt-4o", input="Tell me something.")

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert response.output_text
    assert event.output_tokens == served["usage"]["output_tokens"]
    assert event.price == priced(served, {"input_tokens": "2.50", "output_tokens": "10.00"})


def test_models_lists_what_is_priced_in_each_dialect(caller):
    listed = {model.id for model in caller.openai.models.list()}
    listed_for_anthropic = {model.id for model in caller.anthropic.models.list()}

    assert {"gpt-4o", "gpt-4o-mini", "text-embedding-3-small", "claude-sonnet-5-5"} <= listed
    assert listed_for_anthropic == listed
    assert caller.openai.models.retrieve("gpt-4o").id == "gpt-4o"


def test_tokens_are_counted_without_charge(caller):
    counted = caller.anthropic.messages.count_tokens(
        model="claude-sonnet-5-5", messages=[{"role": "user", "content": "How many?"}]
    )

    assert counted.input_tokens > 0
    assert caller.events() == []
