"""Bodies are changed where they must be, and nowhere else."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.ai_usage.bodies import (
    asks_for_usage,
    choices_asked,
    members,
    output_asked,
    remote_media,
    with_include_usage,
    with_max_tokens,
    with_model,
    without_member,
)
from apps.ai_usage.normalise import Endpoint

_NAMES = st.sampled_from(
    ["model", "stream_options", "max_tokens", "usage", "include_usage", "a", 'q"', "é", ""]
)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12) | _NAMES
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_SPACES = st.sampled_from(["", " ", "\n", "\t ", "\r\n  "])


@st.composite
def json_objects(draw: st.DrawFn) -> bytes:
    """An object as some client might write it: any spacing, escapes, and keys given twice."""
    pieces = [draw(_SPACES), "{", draw(_SPACES)]
    for index, (name, value) in enumerate(draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=5))):
        ascii_only = draw(st.booleans())
        key = json.dumps(name, ensure_ascii=ascii_only)
        if name and draw(st.booleans()) and name[0].isalpha():
            key = f'"\\u{ord(name[0]):04x}{key[7:] if key.startswith(chr(34) + chr(92)) else key[2:]}'
        if index:
            pieces += [draw(_SPACES), ",", draw(_SPACES)]
        separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :")]))
        written = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
        pieces += [key, draw(_SPACES), ":", draw(_SPACES), written]
    pieces += [draw(_SPACES), "}", draw(_SPACES)]
    return "".join(pieces).encode()


def pairs(body: bytes) -> list[tuple[str, Any]]:
    """The members of an object with duplicates, as another parser reads them."""
    return json.loads(body, object_pairs_hook=lambda found: found)


def plain(body: bytes) -> list[tuple[str, Any]]:
    """The same with nested objects as dictionaries."""
    return [(name, orjson.loads(orjson.dumps(_dictionary(value)))) for name, value in pairs(body)]


def _dictionary(value: Any) -> Any:
    if isinstance(value, list) and value and all(isinstance(one, tuple) for one in value):
        return {name: _dictionary(inner) for name, inner in value}
    if isinstance(value, list):
        return [_dictionary(one) for one in value]
    return value


@given(json_objects())
def test_members_are_what_a_parser_sees_with_their_places(body):
    found = list(members(body))

    assert [one.name for one in found] == [name for name, _ in pairs(body)]
    assert orjson.loads(body) == {
        one.name: orjson.loads(body[one.value_start : one.value_end]) for one in found
    }


@given(json_objects(), st.text(max_size=20))
def test_a_model_is_replaced_everywhere_at_the_top_and_nothing_else_moves(body, model):
    parsed = orjson.loads(body)

    changed = with_model(body, parsed, model)

    assert orjson.loads(changed) == (parsed | {"model": model} if "model" in parsed else parsed)
    assert [name for name, _ in pairs(changed)] == [name for name, _ in pairs(body)]
    assert _blanked(changed, "model") == _blanked(body, "model")


@given(json_objects())
def test_include_usage_is_always_asked_for_and_nothing_else_moves(body):
    parsed = orjson.loads(body)
    options = parsed.get("stream_options")
    usable = options is None or isinstance(options, dict)

    changed = with_include_usage(body, parsed)

    expected = {**parsed, "stream_options": {**(options or {}), "include_usage": True} if usable else options}
    assert orjson.loads(changed) == expected
    if "stream_options" in parsed:
        assert _blanked(changed, "stream_options") == _blanked(body, "stream_options")
    else:
        spliced = b'"stream_options":{"include_usage":true}' + (b"," if parsed else b"")
        assert changed.replace(spliced, b"", 1) == body


@given(json_objects(), st.integers(0, 10**6))
def test_an_output_limit_is_lowered_never_raised(body, limit):
    parsed = orjson.loads(body)
    asked = parsed.get("max_tokens")

    changed = with_max_tokens(body, parsed, Endpoint.MESSAGES, limit)

    kept = type(asked) is int and asked <= limit
    assert orjson.loads(changed) == parsed | {"max_tokens": asked if kept else limit}
    for name, value in pairs(changed):
        assert name != "max_tokens" or (type(value) is int and value <= limit)


@given(json_objects(), _NAMES)
def test_a_member_is_taken_out_and_the_rest_stays_byte_for_byte(body, name):
    changed = without_member(body, name)

    assert plain(changed) == [one for one in plain(body) if one[0] != name]
    if name not in orjson.loads(body):
        assert changed == body


def _blanked(body: bytes, name: str) -> bytes:
    """The body with every top-level value of a name taken out, so that only the rest is compared."""
    for member in reversed(list(members(body))):
        if member.name == name:
            body = body[: member.value_start] + b"_" + body[member.value_end :]
    return body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"b"}'),
        (b'{ "model" :\n"a" , "x":1}', b'{ "model" :\n"b" , "x":1}'),
        (b'{"tools":[{"model":"a"}],"model":"a"}', b'{"tools":[{"model":"a"}],"model":"b"}'),
        (b'{"model":"a","model":"c"}', b'{"model":"b","model":"b"}'),
        (b'{"\\u006dodel":"a"}', b'{"\\u006dodel":"b"}'),
        (b'{"say \\"model":"a","model":"a"}', b'{"say \\"model":"a","model":"b"}'),
        (b'{"a":"\\"model\\":\\"x\\"","model":"a"}', b'{"a":"\\"model\\":\\"x\\"","model":"b"}'),
        (b'{"metadata":{"model":"a"},"\\u006dodel":"a"}', b'{"metadata":{"model":"a"},"\\u006dodel":"b"}'),
        (b'{"a":"model","model":"a"}', b'{"a":"model","model":"b"}'),
        (b'{"model":{"deep":[1,{"model":2}]}}', b'{"model":"b"}'),
        (b'{"model":null}', b'{"model":"b"}'),
    ],
)
def test_a_model_is_found_however_it_is_written(body, expected):
    changed = with_model(body, orjson.loads(body), "b")

    assert changed == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", b'{"stream_options":{"include_usage":true}}'),
        (b' {"a":1}', b' {"stream_options":{"include_usage":true},"a":1}'),
        (b'{"stream_options":null}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options":{}}', b'{"stream_options":{"include_usage":true}}'),
        (
            b'{"stream_options": {"include_obfuscation": false}}',
            b'{"stream_options": {"include_usage":true,"include_obfuscation": false}}',
        ),
        (b'{"stream_options":{"include_usage": false}}', b'{"stream_options":{"include_usage": true}}'),
        (b'{"stream_options":{"include_usage":true}}', b'{"stream_options":{"include_usage":true}}'),
        (
            b'{"stream_options":{"include_usage":false},"stream_options":{"include_usage":true}}',
            b'{"stream_options":{"include_usage":true},"stream_options":{"include_usage":true}}',
        ),
        (b'{"stream_options":"yes"}', b'{"stream_options":"yes"}'),
    ],
)
def test_usage_is_asked_for_with_the_fewest_bytes(body, expected):
    changed = with_include_usage(body)

    assert changed == expected


def test_limits_are_read_and_written_per_endpoint():
    chat = {"max_tokens": 10, "max_completion_tokens": 20, "n": 3}

    assert output_asked(Endpoint.CHAT_COMPLETIONS, chat) == 20
    assert output_asked(Endpoint.RESPONSES, {"max_output_tokens": True}) is None
    assert output_asked(Endpoint.EMBEDDINGS, {"max_tokens": 5}) is None
    assert choices_asked(chat) == 3
    assert choices_asked({"n": "3"}) == 1
    assert with_max_tokens(b'{"n":1}', {"n": 1}, Endpoint.CHAT_COMPLETIONS, 7) == (
        b'{"max_completion_tokens":7,"n":1}'
    )
    assert with_max_tokens(b'{"max_tokens":"9"}', {"max_tokens": "9"}, Endpoint.MESSAGES, 7) == (
        b'{"max_tokens":7}'
    )
    assert with_max_tokens(b'{"input":"x"}', {"input": "x"}, Endpoint.EMBEDDINGS, 7) == b'{"input":"x"}'


def test_the_client_has_asked_for_usage_only_when_it_says_true():
    assert asks_for_usage({"stream_options": {"include_usage": True}}) is True
    assert asks_for_usage({"stream_options": {"include_usage": 1}}) is False
    assert asks_for_usage({"stream_options": None}) is False
    assert asks_for_usage({}) is False


def test_media_given_by_address_is_counted_and_inline_media_is_not():
    body = b'{"a":{"url": "https://x/1.png"},"image_url":"data:image/png;base64,AA","file_id":"f-1"}'

    assert remote_media(body) == 2
