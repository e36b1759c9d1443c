"""Answers said in the other dialect, whole and streamed, with the numbers that are right there."""

import orjson
import pytest

from apps.ai_usage.translation import answers
from apps.ai_usage.translation.streams import ChatFromMessage, MessageFromChat

USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 2,
    "output_tokens": 7,
}


def event(kind, **members):
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind} | members))


def data(**members):
    return b"data: %s\n\n" % orjson.dumps(members)


def read(stream):
    return [
        orjson.loads(line[6:])
        for line in stream.splitlines()
        if line.startswith(b"data: ") and line != b"data: [DONE]"
    ]


MESSAGE_STREAM = [
    event("message_start", message={"id": "m1", "model": "c", "usage": USAGE | {"output_tokens": 1}}),
    event("ping"),
    event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
    event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm."}),
    event("content_block_stop", index=0),
    event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
    event("content_block_delta", index=1, delta={"type": "text_delta", "text": "Let me "}),
    event("content_block_delta", index=1, delta={"type": "text_delta", "text": "look."}),
    event("content_block_stop", index=1),
    event(
        "content_block_start",
        index=2,
        content_block={"type": "tool_use", "id": "t1", "name": "w", "input": {}},
    ),
    event("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": '{"a"'}),
    event("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": ":1}"}),
    event("content_block_stop", index=2),
    event(
        "content_block_start",
        index=3,
        content_block={"type": "tool_use", "id": "t2", "name": "x", "input": {}},
    ),
    event("content_block_stop", index=3),
    event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 7}),
    event("message_stop"),
]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_message_stream_becomes_chunks_in_order(at_once):
    translator = ChatFromMessage(include_usage=True, created=9)

    pieces = [b"".join(MESSAGE_STREAM)] if at_once else MESSAGE_STREAM
    stream = b"".join(translator.feed(piece) for piece in pieces)

    chunks = read(stream)
    assert stream.endswith(b"data: [DONE]\n\n")
    assert [chunk["choices"][0]["delta"] for chunk in chunks[:-1]] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Let me "},
        {"content": "look."},
        {
            "tool_calls": [
                {"index": 0, "id": "t1", "type": "function", "function": {"name": "w", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "t2", "type": "function", "function": {"name": "x", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * 8 + ["tool_calls"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert (chunks[-1]["usage"]["prompt_tokens"], chunks[-1]["usage"]["completion_tokens"]) == (17, 7)
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-m1"}


def test_usage_stays_out_of_chunks_for_those_who_did_not_ask():
    translator = ChatFromMessage(include_usage=False, created=9)

    stream = translator.feed(b"".join(MESSAGE_STREAM))

    assert b'"usage"' not in stream


def chunk(delta, finish=None, **more):
    return data(id="c1", model="g", choices=[{"index": 0, "delta": delta, "finish_reason": finish}], **more)


CHAT_STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Let me "}),
    chunk({"content": "look."}),
    chunk(
        {
            "tool_calls": [
                {"index": 0, "id": "t1", "type": "function", "function": {"name": "w", "arguments": ""}}
            ]
        }
    ),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]}),
    chunk(
        {
            "tool_calls": [
                {"index": 1, "id": "t2", "type": "function", "function": {"name": "x", "arguments": "{}"}}
            ]
        }
    ),
    chunk({}, "tool_calls"),
    data(
        id="c1",
        model="g",
        choices=[],
        usage={
            "prompt_tokens": 17,
            "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
        },
    ),
    b"data: [DONE]\n\n",
]


@pytest.mark.parametrize("at_once", [True, False])
def test_chunks_become_a_message_stream_in_order(at_once):
    translator = MessageFromChat(input_estimate=21)

    pieces = [b"".join(CHAT_STREAM)] if at_once else CHAT_STREAM
    events = read(b"".join(translator.feed(piece) for piece in pieces))

    assert [(one["type"], one.get("index")) for one in events] == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert events[0]["message"]["usage"] == {"input_tokens": 21, "output_tokens": 0}
    assert events[5]["content_block"] == {"type": "tool_use", "id": "t1", "name": "w", "input": {}}
    assert events[6]["delta"] == {"type": "input_json_delta", "partial_json": '{"a":1}'}
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert events[-2]["usage"] == USAGE


def test_a_provider_that_counts_its_input_early_is_quoted_at_the_start():
    translator = MessageFromChat(input_estimate=21)

    (start, *_) = read(translator.feed(chunk({"role": "assistant"}, usage={"prompt_tokens": 4})))

    assert start["message"]["usage"]["input_tokens"] == 4


def test_an_error_in_a_stream_is_an_error_in_the_other():
    chat = ChatFromMessage(include_usage=False, created=1)
    message = MessageFromChat(input_estimate=1)

    chunks = read(chat.feed(event("error", error={"type": "overloaded_error", "message": "Busy."})))
    events = read(message.feed(data(error={"message": "Busy.", "code": "x"}) + CHAT_STREAM[1]))

    assert chunks == [
        {"error": {"message": "Busy.", "type": "server_error", "param": None, "code": "provider_error"}}
    ]
    assert events == [{"type": "error", "error": {"type": "api_error", "message": "Busy."}}]


def test_mixed_tool_calls_end_the_stream_instead_of_garbling_it():
    translator = MessageFromChat(input_estimate=1)

    events = read(translator.feed(b"".join([CHAT_STREAM[3], CHAT_STREAM[5], CHAT_STREAM[4], CHAT_STREAM[8]])))

    assert events[-1]["type"] == "error"


def test_lines_may_end_as_in_http():
    translator = ChatFromMessage(include_usage=False, created=1)

    stream = translator.feed(b"".join(MESSAGE_STREAM).replace(b"\n", b"\r\n"))

    assert stream.endswith(b"[DONE]\n\n")
    assert len(read(stream)) == 9


def test_a_message_becomes_a_chat_completion():
    body = orjson.dumps(
        {
            "id": "m1",
            "model": "c",
            "content": [
                {"type": "thinking", "thinking": "Hm."},
                {"type": "text", "text": "Look:"},
                {"type": "tool_use", "id": "t1", "name": "w", "input": {"a": 1}},
            ],
            "stop_reason": "max_tokens",
            "usage": USAGE | {"service_tier": "standard"},
        }
    )

    said = orjson.loads(answers.chat_of_message(body, created=9))

    (choice,) = said["choices"]
    assert choice["message"]["content"] == "Look:"
    assert choice["message"]["tool_calls"] == [
        {"id": "t1", "type": "function", "function": {"name": "w", "arguments": '{"a":1}'}}
    ]
    assert choice["finish_reason"] == "length"
    assert said["usage"]["prompt_tokens"] == 17
    assert said["usage"]["prompt_tokens_details"]["cached_tokens"] == 5
    assert (said["service_tier"], said["created"], said["object"]) == ("default", 9, "chat.completion")


def test_a_chat_completion_becomes_a_message():
    message = {
        "content": "Look:",
        "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "w", "arguments": '{"a":1}'}}],
    }
    usage = {"prompt_tokens": 17, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 7}}
    body = {
        "id": "c1",
        "model": "g",
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": usage,
    }

    said = orjson.loads(answers.message_of_chat(orjson.dumps(body)))

    assert said["content"] == [
        {"type": "text", "text": "Look:", "citations": None},
        {"type": "tool_use", "id": "t1", "name": "w", "input": {"a": 1}},
    ]
    assert said["stop_reason"] == "end_turn"
    assert (said["usage"]["input_tokens"], said["usage"]["cache_read_input_tokens"]) == (10, 7)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"nonsense",
        b'{"choices":[]}',
        b'{"choices":[{"message":{"tool_calls":[{"function":{"name":"w","arguments":"{"}}]}}]}',
    ],
)
def test_an_answer_that_is_none_is_not_made_up(body):
    with pytest.raises(answers.UnreadableAnswer):
        answers.message_of_chat(body)
