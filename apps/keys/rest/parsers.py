"""Reading bodies."""

from typing import Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it: UTF-8, no NaN, no lone surrogates, and nesting that cannot exhaust the stack."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The body's value, or ParseError with the place of the mistake."""
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as wrong:
            raise ParseError(f"The body is not JSON: {wrong}.") from None
