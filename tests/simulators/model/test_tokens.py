"""The tokenizer and the generated text that every bill rests on."""

import pytest

from deploy.local.model_simulator import tokens
from deploy.local.model_simulator.example import example


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("Hello", 1),
        ("Hello, world!", 4),
        ("internationalisation", 2),
        ("größer  東京\n🙂", 4),
        (" ", 1),
    ],
)
def test_a_text_has_the_documented_number_of_tokens(text: str, expected: int) -> None:
    pieces = tokens.tokenize(text)

    assert len(pieces) == tokens.count(text) == expected
    assert "".join(pieces) == text


@pytest.mark.parametrize("seed", [0, 1, 4095, 4096, 123_456_789])
@pytest.mark.parametrize("length", [0, 1, 17, 5000])
def test_written_text_has_exactly_the_tokens_it_was_asked_for(seed: int, length: int) -> None:
    written = tokens.write(seed, length)

    assert len(written) == length
    assert tokens.count("".join(written)) == length
    assert written == tokens.write(seed, length)


def test_an_example_satisfies_its_schema_and_is_always_the_same() -> None:
    schema = {
        "type": "object",
        "properties": {
            "colour": {"enum": ["red", "green"]},
            "amount": {"type": "integer", "minimum": 3, "maximum": 4},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 2},
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "day": {"type": "string", "format": "date"},
        },
        "$defs": {"line": {"type": "object", "properties": {"exact": {"type": "boolean"}}}},
    }

    made = example(schema, 7)

    assert made == {
        "colour": "red",
        "amount": 4,
        "lines": [{"exact": False}, {"exact": True}],
        "note": None,
        "day": "2026-01-31",
    }
    assert made == example(schema, 7)
