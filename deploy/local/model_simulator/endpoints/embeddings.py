"""OpenAI's `POST /v1/embeddings`."""

import math
import random
import zlib
from array import array
from base64 import b64encode
from functools import lru_cache
from typing import Any, Final

from deploy.local.model_simulator.ask import TOKENS_PER_REQUEST, Ask, Prompt
from deploy.local.model_simulator.dialects import OPENAI, Refusal
from deploy.local.model_simulator.endpoints import fields
from deploy.local.model_simulator.exchange import Exchange

ID_PREFIX: Final = "emb-"  # embeddings have no id on the wire; the log has one all the same
_MOST_INPUTS: Final = 2048
_LARGE: Final = 3072
_USUAL: Final = 1536


def read(body: dict[str, Any]) -> Ask:
    """Understand a request, or refuse it as OpenAI does."""
    model = fields.openai_model(body)
    if body.get("input") is None:
        raise fields.missing("input")
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise fields.invalid_value("encoding_format", encoding, ["float", "base64"])
    prompt = Prompt()
    prompt.text -= TOKENS_PER_REQUEST  # there is no reply to prime
    largest = _LARGE if "large" in model else _USUAL
    return Ask(
        dialect=OPENAI,
        endpoint="embeddings",
        model=model,
        prompt=prompt,
        user=fields.openai_user(body),
        inputs=[_read_input(prompt, one) for one in _inputs(body["input"])],
        dimensions=fields.openai_integer(body, "dimensions", lowest=1, highest=largest) or largest,
        base64=encoding == "base64",
        body=body,
    )


def _inputs(given: Any) -> list[Any]:
    """Return the inputs one by one: a text, several, the tokens of one, or the tokens of several."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise fields.invalid_type("input", "a string or an array", given)
    if not given or len(given) > _MOST_INPUTS:
        raise Refusal(400, f"Invalid 'input': expected 1 to {_MOST_INPUTS} items.", param="input")
    return [given] if all(isinstance(one, int) for one in given) else given


def _read_input(prompt: Prompt, given: Any) -> int:
    """Count one input and return the seed of its vector."""
    if isinstance(given, str) and given:
        prompt.add_text(given)
        return zlib.crc32(given.encode("utf-8", "surrogatepass"))
    if isinstance(given, list) and given and all(isinstance(one, int) for one in given):
        prompt.text += len(given)
        return zlib.crc32(repr(given).encode())
    raise Refusal(400, "'$.input' is invalid. Please check the API reference.", param="input")


@lru_cache(maxsize=512)
def _vector(model: str, seed: int, dimensions: int) -> "array[float]":
    """Return the unit vector that this model always gives this text."""
    draw = random.Random(f"{model}|{seed}")  # noqa: S311 - reproducible on purpose
    numbers = [draw.uniform(-1, 1) for _ in range(dimensions)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return array("f", [number / length for number in numbers])


def render(exchange: Exchange) -> dict[str, Any]:
    """Return the whole answer."""
    ask = exchange.ask
    data = []
    for index, seed in enumerate(ask.inputs):
        vector = _vector(ask.model, seed, ask.dimensions)
        embedding = b64encode(vector.tobytes()).decode() if ask.base64 else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    body: dict[str, Any] = {"object": "list", "data": data, "model": exchange.model}
    usage = exchange.reported()
    if usage is not None:
        body["usage"] = usage
    return body
