"""What metering costs per call and per event, in CPU time: `python -m tests.benchmarks.metering`."""

import time
import timeit
from collections.abc import Callable, Iterator
from decimal import Decimal

import orjson

from apps.ai_usage.answers import response_usage
from apps.ai_usage.bodies import with_include_usage, with_max_tokens, with_model
from apps.ai_usage.normalise import Endpoint, estimate, normalise
from apps.ai_usage.pricing import PriceBook, Tariff, rate, rate_after_call, upper_bound_pico
from apps.ai_usage.quantities import Quantities
from apps.ai_usage.sse import AnthropicMeter, OpenAIChatMeter, OpenAIResponsesMeter, StreamMeter
from tests.factories.rates import NOW, rate_rows

USAGE = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 0},
}
_CHUNK = {
    "id": "chatcmpl-abc123",
    "object": "chat.completion.chunk",
    "created": 1730000000,
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "system_fingerprint": "fp_0123456789",
    "choices": [{"index": 0, "delta": {"content": " hello"}, "logprobs": None, "finish_reason": None}],
    "usage": None,
    "obfuscation": "abcdefgh",
}
_MESSAGE = {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 3}}}
_BLOCK = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " hello"}}
_CREATED = {"type": "response.created", "response": {"id": "r", "model": "c"}}
_DELTA = {
    "type": "response.output_text.delta",
    "sequence_number": 12,
    "item_id": "msg_0123456789abcdef",
    "output_index": 0,
    "content_index": 0,
    "delta": " hello",
    "logprobs": [],
    "obfuscation": "abcdefgh",
}


def event(data: dict[str, object], name: str = "") -> bytes:
    """One server-sent event."""
    return (f"event: {name}\n" if name else "").encode() + b"data: " + orjson.dumps(data) + b"\n\n"


def per_call() -> Iterator[tuple[str, Callable[[], object]]]:
    """What is done once for each call."""
    rows = rate_rows({"input": "2.5", "cache_read": "1.25", "cache_write": "3", "output": "10"})
    book = PriceBook(rows)
    priced = book.tariff("openai", "gpt-4o", NOW)
    fallback = estimate(request_bytes=400)
    used = normalise("openai", Endpoint.CHAT_COMPLETIONS, USAGE, fallback=fallback)
    messages = [{"role": "user", "content": "x" * 500}, {"role": "assistant", "content": "y" * 500}]
    body = orjson.dumps({"messages": messages, "model": "gpt-4o", "stream": True, "max_tokens": 9999})
    parsed = orjson.loads(body)
    answer = orjson.dumps({**_CHUNK, "usage": USAGE})
    yield "find the tariff", lambda: book.tariff("openai", "gpt-4o", NOW)
    yield "upper bound, two targets", lambda: upper_bound_pico((priced, priced), 1000, 4096)
    yield "normalise", lambda: normalise("openai", Endpoint.CHAT_COMPLETIONS, USAGE, fallback=fallback)
    yield "rate", lambda: rate(priced, used.quantities)
    yield "rate after call, as decimals", lambda: _amounts(priced, used.quantities)
    yield "read an answer", lambda: response_usage("openai", Endpoint.CHAT_COMPLETIONS, answer)
    yield "replace the model", lambda: with_model(body, parsed, "gpt-4o-mini")
    yield "ask for usage", lambda: with_include_usage(body, parsed)
    yield "clamp the output", lambda: with_max_tokens(body, parsed, Endpoint.CHAT_COMPLETIONS, 100)


def _amounts(priced: Tariff, quantities: Quantities) -> tuple[Decimal, Decimal]:
    rated = rate_after_call(priced, quantities)
    return rated.cost, rated.price


def streams() -> Iterator[tuple[str, StreamMeter, bytes]]:
    """A begun meter of each kind, and the event it sees most."""
    for name, asked in (("chat, usage hidden", False), ("chat, usage shown", True)):
        chat = OpenAIChatMeter(include_usage_requested_by_client=asked)
        chat.feed(event(_CHUNK))
        yield name, chat, event(_CHUNK)
    responses = OpenAIResponsesMeter()
    responses.feed(event(_CREATED, "response.created"))
    yield "responses", responses, event(_DELTA, "response.output_text.delta")
    anthropic = AnthropicMeter()
    anthropic.feed(event(_MESSAGE, "message_start"))
    yield "messages", anthropic, event(_BLOCK, "content_block_delta")


def seconds(work: Callable[[], object], number: int) -> float:
    """The best of five runs, per repetition."""
    return min(timeit.repeat(work, timer=time.process_time, number=number, repeat=7)) / number


def main() -> None:
    """Print the table."""
    for name, work in per_call():
        print(f"{name:32} {seconds(work, 20_000) * 1e6:8.2f} µs")
    for name, meter, one in streams():
        for together in (1, 10, 50):
            chunk = one * together
            each = seconds(lambda chunk=chunk, meter=meter: meter.feed(chunk), 20_000 // together) / together
            print(f"{name}, {together} a chunk".ljust(32), f"{each * 1e6:8.2f} µs {1 / each:12,.0f} events/s")


if __name__ == "__main__":
    main()
