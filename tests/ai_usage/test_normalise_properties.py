"""Whatever a provider sends as usage, it is counted: never negative, never an exception, never free."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.ai_usage.normalise import PLAUSIBLE, Endpoint, normalise
from apps.ai_usage.quantities import DISJOINT_CLASSES, Quantities

_OPENAI = [
    "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens",
    "prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details",
    "cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens", "reasoning_tokens",
    "cache_write_tokens_details", "ttl_30m_tokens", "ttl_12h_tokens", "tool_usage", "web_search", "image_gen",
    "num_requests",
]  # fmt: skip
_ANTHROPIC = [
    "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
    "cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "server_tool_use",
    "web_search_requests", "service_tier", "inference_geo", "speed", "iterations", "type",
    "output_tokens_details", "thinking_tokens",
]  # fmt: skip
_VALUES = (
    st.integers(0, 5000)
    | st.integers()
    | st.sampled_from([None, True, 2**53 + 1, -1, "compaction", "advisor_message", "us", "batch", "fast"])
    | st.floats()
    | st.text(max_size=3)
)


def anything(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of the dialect's names with values of every kind, likely ones most often."""
    named = st.sampled_from(names)
    inner = st.dictionaries(named, _VALUES, max_size=5)
    return st.dictionaries(named, _VALUES | inner | st.lists(inner | _VALUES, max_size=3), max_size=10)


_ENDPOINTS = st.sampled_from([Endpoint.CHAT_COMPLETIONS, Endpoint.RESPONSES, Endpoint.EMBEDDINGS])


@settings(max_examples=400)
@given(anything(_OPENAI), _ENDPOINTS, st.integers(0, 50), st.booleans())
def test_no_openai_usage_is_negative_free_or_fatal(usage, endpoint, seen, partial):
    fallback = Quantities(input=77, output=0 if endpoint == Endpoint.EMBEDDINGS else seen)

    used = normalise("openai", endpoint, usage, fallback=fallback, partial=partial)

    _check(used.quantities)
    assert used.anomaly is None or 0 < len(used.anomaly) <= 60
    assert used.at_safe_rate is False or used.anomaly is not None
    name = "input_tokens" if endpoint == Endpoint.RESPONSES else "prompt_tokens"
    if used.anomaly is None and type(usage.get(name)) is int:
        assert used.quantities.total_input == usage[name]


@settings(max_examples=400)
@given(anything(_ANTHROPIC), st.integers(0, 50), st.booleans())
def test_no_anthropic_usage_is_negative_free_or_fatal(usage, seen, partial):
    used = normalise(
        "anthropic", Endpoint.MESSAGES, usage, fallback=Quantities(input=77, output=seen), partial=partial
    )

    _check(used.quantities)
    assert used.anomaly is None or 0 < len(used.anomaly) <= 60
    assert used.at_safe_rate is False or used.anomaly is not None
    if type(plain := usage.get("input_tokens")) is int and 0 <= plain <= PLAUSIBLE:
        assert used.quantities.total_input >= plain


def _check(quantities: Quantities) -> None:
    assert all(count >= 0 for count in quantities.disjoint())
    assert quantities.total_input > 0
    assert set(quantities.as_dict()) <= {*map(str, DISJOINT_CLASSES), "reasoning"}


_PARTS = st.integers(0, 10**6)


@given(_PARTS, _PARTS, _PARTS, _PARTS, _PARTS, _PARTS, st.integers(1, 10**6))
def test_a_true_openai_report_is_taken_apart_without_remainder(
    cached, written, audio, image, out, spoken, plain
):
    prompt = cached + written + audio + image + plain
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": out + spoken,
        "total_tokens": prompt + out + spoken,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "audio_tokens": audio,
            "image_tokens": image,
        },
        "completion_tokens_details": {"audio_tokens": spoken, "reasoning_tokens": out},
    }

    used = normalise("openai", Endpoint.CHAT_COMPLETIONS, usage, fallback=Quantities(input=1))

    assert used.anomaly is None
    assert used.quantities == Quantities(
        input=plain,
        cache_read=cached,
        cache_write_5m=written,
        audio_input=audio,
        image_input=image,
        output=out,
        audio_output=spoken,
        reasoning=out,
    )
