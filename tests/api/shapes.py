"""Requests made from the API's own description: mostly as it says, sometimes not at all."""

from typing import Any

from hypothesis import strategies as st

ANY_TEXT = st.text(max_size=40)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
_TIMES = st.datetimes().map(lambda moment: moment.isoformat() + "Z") | st.sampled_from(
    ["2026-12-24T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-12-24"]
)
_TEXTS = st.sampled_from(
    [
        "usage:read",
        "keys:write",
        "10.0.0.0/8",
        "::ffff:1.2.3.4",
        "gpt-4o-mini",
        "\x00",
        "\ud800",
        "' OR 1=1 --",
        "x" * 500,
    ]
)


class Described:
    """Strategies for the operations of one OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.schemas: dict[str, Any] = document["components"]["schemas"]
        self.operations = [
            (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]

    def body(self, operation: dict[str, Any]) -> st.SearchStrategy[Any]:
        """A body for an operation, or something else."""
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        return ANY_JSON if content is None else self.value(content["schema"]) | ANY_JSON

    def query(self, operation: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        """A query for an operation."""
        named = {
            parameter["name"]: self.value(parameter["schema"]).map(str) | ANY_TEXT
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query"
        }
        return st.fixed_dictionaries({}, optional=named)

    def value(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        """A value as a schema has it."""
        if "$ref" in schema:
            return st.deferred(lambda: self.value(self.schemas[schema["$ref"].rsplit("/", 1)[1]]))
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for joined in ("oneOf", "anyOf", "allOf"):
            if joined in schema:
                return st.one_of([self.value(part) for part in schema[joined]])
        kinds = schema.get("type", "string")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return st.one_of([self._of_kind(kind, schema) for kind in kinds])

    def _of_kind(self, kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        if kind == "object":
            members = {name: self.value(part) for name, part in schema.get("properties", {}).items()}
            required = set(schema.get("required", ()))
            whole = st.fixed_dictionaries(
                {name: value for name, value in members.items() if name in required},
                optional={name: value for name, value in members.items() if name not in required},
            )
            if "additionalProperties" in schema:
                return st.dictionaries(ANY_TEXT, ANY_TEXT | _TEXTS, max_size=3)
            return whole
        if kind == "array":
            return st.lists(self.value(schema["items"]), max_size=3)
        if kind == "string":
            formats = {"uuid": st.uuids().map(str), "date-time": _TIMES}
            return formats.get(schema.get("format", ""), ANY_TEXT | _TEXTS)
        simple: dict[str, st.SearchStrategy[Any]] = {
            "integer": st.integers(-(2**70), 2**70) | st.integers(-1, 400),
            "number": st.floats(allow_nan=False),
            "boolean": st.booleans(),
            "null": st.none(),
        }
        return simple[kind]
