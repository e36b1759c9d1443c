"""A value that satisfies a simple JSON schema, always the same for the same schema and seed."""

from typing import Any

from deploy.local.model_simulator import tokens

_DEPTH_LIMIT = 12
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "person@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: dict[str, Any], seed: int) -> Any:
    """Return a value the schema accepts: types, enum, const, $ref, anyOf, bounds, items, properties."""
    return _value(schema, schema, seed, 0)


def _value(schema: Any, root: dict[str, Any], seed: int, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEPTH_LIMIT:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][seed % len(schema["enum"])]
    if isinstance(schema.get("$ref"), str):
        return _value(_resolve(schema["$ref"], root), root, seed, depth + 1)
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return _value(schema[union][0], root, seed, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {
            name: _value(inner, root, seed + place + 1, depth + 1)
            for place, (name, inner) in enumerate(schema.get("properties", {}).items())
        }
    if kind == "array":
        length = max(int(schema.get("minItems", 1)), 0)
        return [_value(schema.get("items", {}), root, seed + place, depth + 1) for place in range(length)]
    return _scalar(kind, schema, seed)


def _scalar(kind: str, schema: dict[str, Any], seed: int) -> Any:
    if kind in ("integer", "number"):
        lowest, highest = schema.get("minimum"), schema.get("maximum")
        if lowest is None and "exclusiveMinimum" in schema:
            lowest = schema["exclusiveMinimum"] + 1
        if lowest is None:
            lowest = 0 if highest is None or highest >= 0 else highest
        span = 100 if highest is None else int(highest - lowest) + 1
        number = lowest + seed % max(span, 1)
        return int(number) if kind == "integer" else number
    if kind == "boolean":
        return seed % 2 == 0
    if kind == "null":
        return None
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    text = "".join(tokens.write(seed, 2))
    shortest, longest = int(schema.get("minLength", 0)), schema.get("maxLength")
    text = text.ljust(shortest, "x")
    return text if longest is None else text[: int(longest)]


def _resolve(reference: str, root: dict[str, Any]) -> Any:
    found: Any = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        if name:
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
