"""Streams pass byte for byte, however they are cut, and the meter knows what they said."""

from collections.abc import Iterable, Sequence

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.ai_usage.sse import (
    AnthropicMeter,
    OpenAIChatMeter,
    OpenAIResponsesMeter,
    StreamMeter,
    StreamTooLarge,
    merged_usage,
)

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
HEAD = '{"id":"chatcmpl-1","object":"chunk","model":"gpt-4o-mini-2024-07-18","service_tier":"flex"'


def run(meter: StreamMeter, chunks: Iterable[bytes]) -> tuple[bytes, bytes]:
    """What was forwarded before the end, and the end."""
    forwarded = b"".join([meter.feed(chunk) for chunk in chunks]) + meter.finish()
    return forwarded, meter.take_terminal()


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """The stream in pieces."""
    marks = sorted({place % (len(stream) + 1) for place in places})
    return [stream[a:b] for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]


def chat_event(delta: str, *, usage: str = "", tail: str = "", eol: str = "\n") -> bytes:
    """One chunk of a chat completion, with `usage` and `tail` spliced in as they are."""
    choices = f'"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]'
    return f"data: {HEAD},{choices}{usage}{tail}}}{eol}{eol}".encode()


_TEXTS = st.text(max_size=20) | st.sampled_from(
    [
        '"usage":null',
        ',"usage":null}',
        "[DONE]",
        "data: [DONE]\n\n",
        '{"error":1}',
        "日本語",
        "\\",
        '\\"',
        "\r\n\r\n",
    ]
)
_USAGES = st.sampled_from(
    ["", ',"usage":null', ',"usage": null', ', "usage" :null', ',"usage":{"total_tokens":3}']
)
_TAILS = st.sampled_from(["", ',"obfuscation":"aZ9"', ',"x_extra":{"usage":null}'])


@st.composite
def chat_streams(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, int]:
    """A stream as sent with usage, the same as sent without, its end, and how much text is in it."""
    eol = draw(st.sampled_from(["\n", "\r\n"]))
    with_usage, without_usage, length = [], [], 0
    for text in draw(st.lists(_TEXTS, min_size=1, max_size=8)):
        if draw(st.booleans()):
            comment = f": keep-alive{eol}{eol}".encode()
            with_usage.append(comment)
            without_usage.append(comment)
        written = orjson.dumps(text).decode()
        length += len(written.encode()) - 2
        key = draw(st.sampled_from(["content", "refusal"]))
        usage, tail = draw(_USAGES), draw(_TAILS)
        with_usage.append(chat_event(f'{{"{key}":{written}}}', usage=usage, tail=tail, eol=eol))
        without_usage.append(chat_event(f'{{"{key}":{written}}}', tail=tail, eol=eol))
    with_usage.append(
        f'data: {HEAD},"choices":[],"usage":{orjson.dumps(USAGE).decode()}}}{eol}{eol}'.encode()
    )
    terminal = f"data: [DONE]{eol}{eol}".encode()
    return b"".join(with_usage), b"".join(without_usage), terminal, length


@settings(max_examples=300)
@given(chat_streams(), st.lists(st.integers(0, 10**6), max_size=12))
def test_usage_is_hidden_exactly_from_a_client_that_did_not_ask(stream, places):
    with_usage, without_usage, terminal, length = stream
    meter = OpenAIChatMeter(include_usage_requested_by_client=False)

    forwarded, end = run(meter, cut(with_usage + terminal, places))

    assert forwarded == without_usage
    assert end == terminal
    assert meter.usage == USAGE
    assert meter.completed is True
    assert meter.error is None
    assert meter.model == "gpt-4o-mini-2024-07-18"
    assert meter.service_tier == "flex"
    assert meter.output_characters <= length


@settings(max_examples=300)
@given(chat_streams(), st.lists(st.integers(0, 10**6), max_size=12))
def test_a_client_that_asked_gets_the_stream_as_it_came(stream, places):
    with_usage, _, terminal, _ = stream
    meter = OpenAIChatMeter(include_usage_requested_by_client=True)

    forwarded, end = run(meter, cut(with_usage + terminal, places))

    assert forwarded == with_usage
    assert end == terminal
    assert meter.usage == USAGE


@given(chat_streams())
def test_a_stream_fed_byte_by_byte_is_the_stream(stream):
    with_usage, without_usage, terminal, _ = stream
    whole = with_usage + terminal
    meter = OpenAIChatMeter(include_usage_requested_by_client=False)

    forwarded, end = run(meter, [whole[index : index + 1] for index in range(len(whole))])

    assert (forwarded, end) == (without_usage, terminal)


def test_the_end_is_held_until_it_is_taken_and_what_follows_it_too():
    meter = OpenAIChatMeter(include_usage_requested_by_client=True)

    before = meter.feed(chat_event('{"content":"a"}') + b"data: [DONE]\n\n: bye")
    after = meter.feed(b"\n\n")

    assert before == chat_event('{"content":"a"}')
    assert after == b""
    assert meter.held_terminal == b"data: [DONE]\n\n: bye\n\n"
    assert meter.take_terminal() == b"data: [DONE]\n\n: bye\n\n"
    assert meter.held_terminal == b""
    assert meter.take_terminal() == b""


def test_an_event_passes_as_soon_as_it_is_complete():
    event = chat_event('{"content":"a"}')
    meter = OpenAIChatMeter(include_usage_requested_by_client=True)

    assert meter.feed(event[:20]) == b""
    assert meter.feed(event[20:] + event[:5]) == event
    assert meter.feed(event[5:]) == event


def test_quiet_events_pass_without_a_copy():
    meter = OpenAIChatMeter(include_usage_requested_by_client=True)
    meter.feed(chat_event('{"role":"assistant"}'))
    event = chat_event('{"content":"a"}', usage=',"usage":null')

    assert meter.feed(event) is event


@pytest.mark.parametrize("asked", [True, False])
def test_a_mid_stream_error_ends_the_stream_and_is_held(asked):
    error = b'data: {"error":{"message":"overloaded","type":"server_error","param":null,"code":null}}\n\n'
    meter = OpenAIChatMeter(include_usage_requested_by_client=asked)

    forwarded, end = run(meter, [chat_event('{"content":"abc"}'), error])

    assert forwarded == chat_event('{"content":"abc"}')
    assert end == error
    assert meter.completed is False
    assert meter.error == {"message": "overloaded", "type": "server_error", "param": None, "code": None}
    assert meter.usage is None
    assert meter.output_characters == 3


def test_a_stream_that_breaks_off_drops_the_broken_event_only():
    whole = chat_event('{"content":"abc"}')
    meter = OpenAIChatMeter(include_usage_requested_by_client=False)

    forwarded, end = run(meter, [whole + whole[:40]])

    assert (forwarded, end) == (whole, b"")
    assert meter.completed is False
    assert meter.usage is None


def test_an_end_without_its_blank_line_is_still_an_end():
    meter = OpenAIChatMeter(include_usage_requested_by_client=False)

    forwarded, end = run(meter, [chat_event('{"content":"abc"}')[:-1], b"\ndata: [DONE]"])

    assert forwarded == chat_event('{"content":"abc"}')
    assert end == b"data: [DONE]"
    assert meter.completed is True


def test_a_last_event_without_its_blank_line_gets_one_so_that_an_error_may_follow():
    whole = chat_event('{"content":"abc"}')
    meter = OpenAIChatMeter(include_usage_requested_by_client=True)

    forwarded, end = run(meter, [whole[:-2]])

    assert (forwarded, end) == (whole, b"")


def test_usage_in_the_last_chunk_with_choices_is_taken_and_hidden():
    event = chat_event('{"content":"a"}', usage=',"usage":{"prompt_tokens":1}')
    meter = OpenAIChatMeter(include_usage_requested_by_client=False)

    assert meter.feed(event) == chat_event('{"content":"a"}')
    assert meter.usage == {"prompt_tokens": 1}


def test_an_azure_preamble_without_choices_is_not_mistaken_for_the_usage_chunk():
    event = b'data: {"choices":[],"model":"","prompt_filter_results":[],"usage":null}\n\n'
    meter = OpenAIChatMeter(include_usage_requested_by_client=False)

    assert meter.feed(event) == b'data: {"choices":[],"model":"","prompt_filter_results":[]}\n\n'
    assert meter.usage is None


def test_tool_call_fragments_pass_and_count_as_output():
    delta = '{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}'
    meter = OpenAIChatMeter(include_usage_requested_by_client=True)

    forwarded, _ = run(meter, [chat_event(delta), chat_event(delta)])

    assert forwarded == chat_event(delta) * 2
    assert meter.output_characters == 2 * len('{\\"a\\":')


def test_the_finish_reason_is_noted():
    event = chat_event('{"content":""}').replace(b'"finish_reason":null', b'"finish_reason":"length"')
    meter = OpenAIChatMeter(include_usage_requested_by_client=True)

    assert meter.feed(event) == event
    assert meter.finish_reason == "length"


@pytest.mark.parametrize("pieces", [1, 7])
def test_an_endless_event_is_refused(pieces):
    meter = AnthropicMeter(event_bound=1000)

    with pytest.raises(StreamTooLarge):
        for _ in range(pieces):
            meter.feed(b"data: " + b"x" * (1100 // pieces))


def test_an_endless_tail_after_the_end_is_refused():
    meter = OpenAIChatMeter(include_usage_requested_by_client=True, event_bound=1000)
    meter.feed(b"data: [DONE]\n\n")

    with pytest.raises(StreamTooLarge):
        meter.feed(b"x" * 1001)


def event(name: str, data: object, eol: str = "\n") -> bytes:
    """An event with its name, as Anthropic and the Responses surface send it."""
    return f"event: {name}{eol}data: {orjson.dumps(data).decode()}{eol}{eol}".encode()


def anthropic_stream(eol: str = "\n") -> tuple[bytes, bytes]:
    """A whole message with its cumulative usage, and its end."""
    start = {
        "id": "msg_1",
        "model": "claude-sonnet-4-5-20250929",
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 12304,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 12304, "ephemeral_1h_input_tokens": 0},
            "service_tier": "standard",
            "inference_geo": "us",
            "output_tokens": 1,
        },
    }
    delta = {"type": "text_delta", "text": "the message_stop"}
    body = [
        event("message_start", {"type": "message_start", "message": start}, eol),
        event("ping", {"type": "ping"}, eol),
        event("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}, eol),
        event(
            "message_delta",
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 550, "cache_read_input_tokens": None, "input_tokens": 4},
            },
            eol,
        ),
    ]
    return b"".join(body), event("message_stop", {"type": "message_stop"}, eol)


@given(st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0, 10**6), max_size=12))
def test_anthropic_usage_is_merged_to_the_last_value_of_each_field(eol, places):
    body, terminal = anthropic_stream(eol)
    meter = AnthropicMeter()

    forwarded, end = run(meter, cut(body + terminal, places))

    assert (forwarded, end) == (body, terminal)
    assert meter.usage == {
        "input_tokens": 4,
        "cache_creation_input_tokens": 12304,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 12304, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
        "inference_geo": "us",
        "output_tokens": 550,
    }
    assert meter.usage_is_final is True
    assert meter.completed is True
    assert meter.finish_reason == "end_turn"
    assert meter.model == "claude-sonnet-4-5-20250929"
    assert meter.output_characters == len("the message_stop")


def test_an_anthropic_stream_that_breaks_off_has_usage_that_is_not_final():
    body, _ = anthropic_stream()
    start = body[: body.index(b"event: ping")]
    meter = AnthropicMeter()

    run(meter, [start])

    assert meter.usage["output_tokens"] == 1
    assert meter.usage_is_final is False
    assert meter.completed is False


def test_an_anthropic_error_ends_the_stream_and_is_held():
    body, _ = anthropic_stream()
    error = event("error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    meter = AnthropicMeter()

    forwarded, end = run(meter, [body, error])

    assert (forwarded, end) == (body, error)
    assert meter.error == {"type": "overloaded_error", "message": "Overloaded"}
    assert meter.completed is False


RESPONSE = {
    "id": "resp_1",
    "model": "gpt-5.6-sol",
    "service_tier": "default",
    "status": "completed",
    "error": None,
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}],
    "usage": {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14},
    "tool_usage": {"web_search": {"num_requests": 2}},
}


@given(st.sampled_from(["completed", "incomplete", "failed"]), st.lists(st.integers(0, 10**6), max_size=12))
def test_a_response_is_metered_from_its_terminal_event(status, places):
    created = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "usage": None}}
    delta = {"type": "response.output_text.delta", "delta": "Hello", "sequence_number": 1}
    done = {"type": "response.output_text.done", "text": "Hello response.completed"}
    body = b"".join(event(one["type"], one) for one in (created, delta, done))
    terminal = event(
        f"response.{status}",
        {"type": f"response.{status}", "response": {**RESPONSE, "status": status}, "sequence_number": 3},
    )
    meter = OpenAIResponsesMeter()

    forwarded, end = run(meter, cut(body + terminal, places))

    assert (forwarded, end) == (body, terminal)
    assert meter.usage == {**RESPONSE["usage"], "tool_usage": {"web_search": {"num_requests": 2}}}
    assert meter.usage_is_final is True
    assert meter.completed is True
    assert meter.finish_reason == status
    assert meter.model == "gpt-5.6-sol"
    assert meter.output_characters == 5


def test_a_responses_error_event_ends_the_stream_and_is_held():
    error = {"type": "error", "code": "server_error", "message": "no", "param": None, "sequence_number": 2}
    meter = OpenAIResponsesMeter()

    forwarded, end = run(meter, [event("error", error)])

    assert (forwarded, end) == (b"", event("error", error))
    assert meter.error == error
    assert meter.completed is False


@pytest.mark.parametrize(
    "noise",
    [
        b"data: not json\n\n",
        b"data: [1,2]\n\n",
        b"\n\n\n\n",
        b"data: \xff\xfe\n\n",
        b"id: 7\nretry: 10\n\n",
        b"<html>504</html>\n\n",
    ],
)
@pytest.mark.parametrize(
    "make",
    [lambda: OpenAIChatMeter(include_usage_requested_by_client=False), OpenAIResponsesMeter, AnthropicMeter],
)
def test_what_is_not_understood_passes_as_it_came(make, noise):
    meter = make()

    forwarded, end = run(meter, [noise])

    assert (forwarded, end) == (noise, b"")
    assert meter.usage is None
    assert meter.error is None


@pytest.mark.parametrize("usage", ["7", "[]", '"x"', "{}", '{"prompt_tokens":-1}'])
def test_usage_of_the_wrong_kind_is_never_an_error(usage):
    stream = chat_event('{"content":"a"}', usage=f',"usage":{usage}')
    meter = OpenAIChatMeter(include_usage_requested_by_client=False)

    forwarded, _ = run(meter, [stream])

    assert forwarded == chat_event('{"content":"a"}')
    assert meter.usage is None or isinstance(meter.usage, dict)


def test_merging_keeps_what_is_not_said_again():
    earlier = {"a": 1, "b": {"c": 2, "d": 3}, "e": None}

    merged = merged_usage(earlier, {"a": None, "b": {"c": 5}, "e": 4, "f": None})

    assert merged == {"a": 1, "b": {"c": 5, "d": 3}, "e": 4, "f": None}
    assert earlier == {"a": 1, "b": {"c": 2, "d": 3}, "e": None}


def test_data_over_several_lines_is_read_as_one():
    meter = OpenAIChatMeter(include_usage_requested_by_client=True)
    spread = b'data: {"id":"x","choices":[],\ndata: "usage":{"prompt_tokens":5}}\n\n'

    forwarded, _ = run(meter, [spread])

    assert forwarded == spread
    assert meter.usage == {"prompt_tokens": 5}


_PIECES = [
    b"data: ", b"data:", b"event: error", b"event: message_stop", b": x", b"[DONE]", b"{}", b"\xff", b"{",
    b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b'{"error":{"a":1}}', b'{"error":null}', b'{"usage":null}',
    b'{"usage":{"prompt_tokens":1}}', b'{"choices":[],"usage":{"total_tokens":1}}', b'{"type":"error"}',
    b'{"type":"message_start","message":{"usage":{"input_tokens":1}}}', b'{"type":"message_stop"}',
    b'{"type":"response.failed"}',
]  # fmt: skip
_METERS = [
    lambda: OpenAIChatMeter(include_usage_requested_by_client=True),
    OpenAIResponsesMeter,
    AnthropicMeter,
]


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(_PIECES), max_size=30).map(b"".join),
    st.sampled_from(_METERS),
    st.lists(st.integers(0, 10**6), max_size=8),
)
def test_whatever_comes_goes_on_in_order_and_no_cut_changes_the_outcome(stream, make, places):
    whole, pieces = make(), make()

    at_once = whole.feed(stream)
    in_pieces = b"".join([pieces.feed(piece) for piece in cut(stream, places)])

    assert stream.startswith(at_once + whole.held_terminal)
    assert stream.startswith(in_pieces + pieces.held_terminal)
    # Line ends beyond a blank line may wait for what follows them; nothing else may depend on the cuts.
    assert _all_of(in_pieces, pieces) == _all_of(at_once, whole)
    assert (pieces.usage, pieces.error, pieces.completed) == (whole.usage, whole.error, whole.completed)


def _all_of(forwarded: bytes, meter: StreamMeter) -> bytes:
    return (forwarded + meter.finish() + meter.take_terminal()).rstrip(b"\r\n")
