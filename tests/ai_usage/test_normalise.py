"""Usage becomes disjoint quantities, and no provider can make it negative, free or fatal."""

from typing import Any

import pytest

from apps.ai_usage.normalise import (
    Endpoint,
    NormalisedUsage,
    UsageSource,
    estimate,
    input_bound,
    normalise,
)
from apps.ai_usage.quantities import Quantities
from apps.ai_usage.tariffs import Mode

FALLBACK = Quantities(input=50)


def chat(usage: Any, **changes: Any) -> NormalisedUsage:
    """A chat completion's usage, normalised."""
    return normalise("openai", Endpoint.CHAT_COMPLETIONS, usage, **({"fallback": FALLBACK} | changes))


def message(usage: Any, **changes: Any) -> NormalisedUsage:
    """An Anthropic message's usage, normalised."""
    return normalise("anthropic", Endpoint.MESSAGES, usage, **({"fallback": FALLBACK} | changes))


def test_openai_details_are_taken_out_of_the_total():
    used = chat(
        {
            "prompt_tokens": 1000,
            "completion_tokens": 100,
            "total_tokens": 1100,
            "prompt_tokens_details": {
                "cached_tokens": 600,
                "cache_write_tokens": 100,
                "audio_tokens": 40,
                "image_tokens": 30,
                "text_tokens": 930,
            },
            "completion_tokens_details": {
                "audio_tokens": 20,
                "reasoning_tokens": 50,
                "accepted_prediction_tokens": 3,
                "rejected_prediction_tokens": 4,
            },
        }
    )

    assert used.quantities == Quantities(
        input=230,
        cache_read=600,
        cache_write_5m=100,
        audio_input=40,
        image_input=30,
        output=80,
        audio_output=20,
        reasoning=50,
    )
    assert (used.anomaly, used.source, used.at_safe_rate) == (None, UsageSource.PROVIDER, False)


def test_audio_that_may_be_cached_is_capped_at_what_is_not():
    used = chat(
        {
            "prompt_tokens": 100,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 90, "image_tokens": 10},
        }
    )

    assert used.quantities == Quantities(cache_read=80, audio_input=20, output=1)
    assert used.anomaly is None


def test_responses_have_their_own_names_and_their_hosted_tools():
    used = normalise(
        "openai",
        Endpoint.RESPONSES,
        {
            "input_tokens": 100,
            "input_tokens_details": {
                "cached_tokens": 20,
                "cache_write_tokens": 30,
                "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20},
            },
            "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 109,
            "tool_usage": {"web_search": {"num_requests": 2}},
        },
        fallback=FALLBACK,
        service_tier="fast",
    )

    assert used.quantities == Quantities(
        input=50, cache_read=20, cache_write_5m=10, cache_write_1h=20, output=9, reasoning=4, requests=2
    )
    assert used.service_tier == "priority"


def test_images_drawn_by_a_hosted_tool_are_counted_and_marked():
    used = normalise(
        "openai",
        Endpoint.RESPONSES,
        {
            "input_tokens": 10,
            "output_tokens": 1,
            "tool_usage": {"image_gen": {"input_tokens": 30, "output_tokens": 400}},
        },
        fallback=FALLBACK,
    )

    assert used.quantities == Quantities(input=10, image_input=30, output=401)
    assert (used.anomaly, used.at_safe_rate) == ("image_generation", False)


def test_embeddings_have_no_output():
    used = normalise(
        "openai", Endpoint.EMBEDDINGS, {"prompt_tokens": 8, "total_tokens": 8}, fallback=FALLBACK
    )

    assert used.quantities == Quantities(input=8)
    assert used.anomaly is None


def test_a_server_that_counts_reasoning_beside_the_completion_is_understood():
    used = chat(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 115,
            "completion_tokens_details": {"reasoning_tokens": 100},
        }
    )

    assert used.quantities == Quantities(input=10, output=105, reasoning=100)
    assert used.anomaly is None


def test_anthropic_counts_add_up():
    used = message(
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 4000,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 20},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 7},
            "service_tier": "standard",
            "inference_geo": "us",
        },
        served_model="claude-sonnet-4-5-20250929",
    )

    assert used.quantities == Quantities(
        input=3, cache_read=4000, cache_write_5m=100, cache_write_1h=200, output=50, reasoning=20, requests=2
    )
    assert (used.service_tier, used.mode, used.region) == ("default", Mode.REALTIME, "us")
    assert used.served_model == "claude-sonnet-4-5-20250929"
    assert used.anomaly is None


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (None, Quantities(input=1, cache_write_5m=100, output=1)),
        ({"ephemeral_5m_input_tokens": 60}, Quantities(input=1, cache_write_5m=100, output=1)),
        (
            {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 10},
            Quantities(input=1, cache_write_5m=60, cache_write_1h=40, output=1),
        ),
    ],
)
def test_cache_writes_beyond_the_split_are_like_those_in_it(split, expected):
    used = message(
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 100,
            "cache_creation": split,
            "output_tokens": 1,
        }
    )

    assert used.quantities == expected
    assert used.anomaly is None


def test_a_split_larger_than_its_total_is_an_anomaly_counted_in_full():
    used = message(
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 10},
            "output_tokens": 1,
        }
    )

    assert used.quantities.total_input == 71
    assert (used.anomaly, used.at_safe_rate) == ("cache_creation_split", True)


def test_a_compaction_is_added_because_the_totals_leave_it_out():
    used = message(
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "iterations": [
                {"type": "compaction", "input_tokens": 1000, "output_tokens": 200},
                {"type": "message", "input_tokens": 10, "output_tokens": 5},
            ],
        }
    )

    assert used.quantities == Quantities(input=1010, output=205)
    assert used.anomaly is None


def test_an_advisors_tokens_are_counted_at_the_safe_rate():
    used = message(
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "iterations": [{"type": "advisor_message", "model": "x", "input_tokens": 7, "output_tokens": 3}],
        }
    )

    assert used.quantities == Quantities(input=17, output=8)
    assert (used.anomaly, used.at_safe_rate) == ("other_model_usage", True)


@pytest.mark.parametrize(
    ("usage", "tier", "mode"),
    [
        ({"service_tier": "batch"}, "default", Mode.BATCH),
        ({"service_tier": "priority"}, "priority", Mode.REALTIME),
        ({"service_tier": "standard", "speed": "fast"}, "fast", Mode.REALTIME),
        ({"service_tier": None}, "default", Mode.REALTIME),
        ({"service_tier": 7, "speed": []}, "default", Mode.REALTIME),
    ],
)
def test_anthropic_says_its_tier_in_its_usage(usage, tier, mode):
    used = message({"input_tokens": 1, "output_tokens": 1} | usage)

    assert (used.service_tier, used.mode) == (tier, mode)


@pytest.mark.parametrize(
    ("told", "tier"),
    [("default", "default"), ("auto", "default"), (None, "default"), ("flex", "flex"), ("fast", "priority")],
)
def test_openai_says_its_tier_beside_its_usage(told, tier):
    used = chat({"prompt_tokens": 1, "completion_tokens": 1}, service_tier=told)

    assert used.service_tier == tier


@pytest.mark.parametrize("usage", [None, {}, [], "x", 7, True])
@pytest.mark.parametrize("read", [chat, message])
def test_missing_usage_is_estimated_and_marked(read, usage):
    estimated = Quantities(input=50, output=20)

    used = read(usage, fallback=estimated)

    assert used.quantities == estimated
    assert (used.source, used.anomaly) == (UsageSource.ESTIMATED, "usage_missing")


def test_missing_usage_of_a_stream_that_broke_off_is_no_anomaly():
    used = chat(None, partial=True)

    assert (used.source, used.anomaly) == (UsageSource.ESTIMATED, None)


def test_the_output_of_a_stream_that_broke_off_is_what_was_seen_of_it():
    started = {"input_tokens": 900, "output_tokens": 1}

    used = message(started, fallback=Quantities(input=50, output=120), partial=True)
    early = message(started, fallback=Quantities(input=50, output=0), partial=True)

    assert used.quantities == Quantities(input=900, output=120)
    assert (used.source, used.anomaly) == (UsageSource.ESTIMATED, None)
    assert early.quantities == Quantities(input=900, output=1)
    assert early.source is UsageSource.PROVIDER


def test_more_cached_than_there_was_is_priced_as_a_whole_at_the_safe_rate():
    used = chat(
        {
            "prompt_tokens": 100,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 40},
        }
    )

    assert used.quantities == Quantities(input=100, output=1)
    assert (used.anomaly, used.at_safe_rate) == ("cached_exceeds_input", True)


def test_a_total_larger_than_its_parts_is_charged():
    used = chat({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40})

    assert used.quantities == Quantities(input=10, output=30)
    assert (used.anomaly, used.at_safe_rate) == ("total_exceeds_parts", True)


def test_a_total_smaller_than_its_parts_is_marked_and_the_parts_are_charged():
    used = chat({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 4})

    assert used.quantities == Quantities(input=10, output=5)
    assert (used.anomaly, used.at_safe_rate) == ("total_below_parts", False)


def test_a_prompt_of_zero_tokens_is_not_believed():
    openai = chat({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    anthropic = message({"input_tokens": 0, "output_tokens": 3})

    assert (openai.quantities.total_input, openai.anomaly) == (50, "zero_input")
    assert (anthropic.quantities.total_input, anthropic.anomaly) == (50, "zero_input")


def test_no_output_tokens_for_text_that_was_seen_is_not_believed():
    used = chat({"prompt_tokens": 9, "completion_tokens": 0}, fallback=Quantities(input=50, output=30))

    assert used.quantities == Quantities(input=9, output=30)
    assert (used.anomaly, used.source) == ("zero_output", UsageSource.ESTIMATED)


def test_a_missing_count_is_worked_out_from_the_total():
    no_output = chat({"prompt_tokens": 10, "total_tokens": 25})
    no_input = chat({"completion_tokens": 15, "total_tokens": 25})

    assert no_output.quantities == Quantities(input=10, output=15)
    assert no_output.anomaly == "missing:completion_tokens"
    assert no_input.quantities == Quantities(input=10, output=15)
    assert no_input.anomaly == "missing:prompt_tokens"


BAD = [-1, -(2**70), 2**53 + 1, 10**30, 1.5, 12.0, "12", True, False, [], {}, float("inf")]


@pytest.mark.parametrize("bad", BAD, ids=repr)
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_an_impossible_openai_total_is_replaced_by_the_estimate(field, bad):
    fallback = Quantities(input=50, output=20)

    used = chat({"prompt_tokens": 7, "completion_tokens": 3} | {field: bad}, fallback=fallback)

    expected = Quantities(input=50, output=3) if field == "prompt_tokens" else Quantities(input=7, output=20)
    assert used.quantities == expected
    assert used.anomaly == f"invalid:{field}"
    assert used.at_safe_rate is True
    assert used.source is UsageSource.ESTIMATED


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_an_impossible_detail_puts_the_whole_total_at_the_safe_rate(bad):
    details = chat(
        {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": bad}}
    )
    cache = message({"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": bad})

    assert details.quantities == Quantities(input=7, output=3)
    assert (details.anomaly, details.at_safe_rate) == ("invalid:cached_tokens", True)
    assert cache.quantities == Quantities(input=7, output=3)
    assert (cache.anomaly, cache.at_safe_rate) == ("invalid:cache_read_input_tokens", True)


def test_an_impossible_count_that_prices_nothing_changes_no_price():
    used = chat(
        {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "total_tokens": "10",
            "completion_tokens_details": {"reasoning_tokens": 99},
        }
    )

    assert used.quantities == Quantities(input=7, output=3, reasoning=3)
    assert (used.anomaly, used.at_safe_rate) == ("invalid:total_tokens", False)


def test_an_estimate_counts_a_token_for_three_bytes():
    assert estimate(request_bytes=300) == Quantities(input=116)
    assert estimate(request_bytes=301, output_characters=10) == Quantities(input=117, output=4)
    assert estimate(request_bytes=0, remote_media=2) == Quantities(input=10_016)
    assert estimate(request_bytes=-5, output_characters=-5) == Quantities(input=16)


def test_a_bound_counts_a_token_for_every_byte():
    assert input_bound(request_bytes=300) == 316
    assert input_bound(request_bytes=300, remote_media=1) == 5316
