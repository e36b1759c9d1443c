"""Usage as providers report it, turned into disjoint quantities that can be priced.

OpenAI's details are subsets of its totals; Anthropic's counts add up. Providers also leave counts out, and
some send nonsense. Nothing here raises, goes negative, or lets tokens vanish: what cannot be trusted is
counted at the provider's total, marked with an anomaly, and priced at the safe rate.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from apps.ai_usage.quantities import NOTHING, Quantities
from apps.ai_usage.tariffs import ANY_REGION, STANDARD_TIER, Mode

# No call has a billion tokens of anything; a count beyond it is noise.
PLAUSIBLE: Final = 10**9
# One token for every three bytes of UTF-8: English has about four to a token, Chinese about three.
BYTES_PER_TOKEN: Final = 3
# What a chat template adds around messages that a body's length does not show.
OVERHEAD_TOKENS: Final = 16
# An image or a file given by address, whose bytes are not in the body: about the largest that is not resized.
REMOTE_MEDIA_TOKENS: Final = 5000
_REGIONLESS: Final = frozenset({"", "global", "not_available", "unknown", "default"})


class Endpoint(StrEnum):
    """The surfaces that are metered, under the names they have in the ledger."""

    CHAT_COMPLETIONS = "chat.completions"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    MESSAGES = "messages"


class UsageSource(StrEnum):
    """Where a call's numbers come from. `drained`: from the provider, after the client had gone.
    `cache`: of the call whose answer was repeated from memory, so nothing was consumed anew."""

    PROVIDER = "provider"
    DRAINED = "drained"
    ESTIMATED = "estimated"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class NormalisedUsage:
    """What a call consumed, what decides its tariff, and how far to trust it."""

    quantities: Quantities
    source: UsageSource
    service_tier: str = STANDARD_TIER
    mode: Mode = Mode.REALTIME
    region: str = ANY_REGION
    served_model: str | None = None
    # A short code for what was wrong, at most 60 characters, or None.
    anomaly: str | None = None
    # The split between classes is unknown or false, so the dearest rates apply.
    at_safe_rate: bool = False


def normalise(
    dialect: str,
    endpoint: str,
    raw_usage: dict[str, Any] | None,
    *,
    fallback: Quantities,
    served_model: str | None = None,
    service_tier: str | None = None,
    partial: bool = False,
) -> NormalisedUsage:
    """Disjoint quantities for what a provider reported.

    `raw_usage` is the provider's usage object as it came, or None. `fallback` is `estimate(…)` for this call
    and stands in for each total that is missing or impossible, so that no call is free because a provider was
    silent. `service_tier` is the tier that the response names, not always the one asked for. `partial` says
    that the stream broke off, so that the output count may be from its beginning.
    """
    served = served_model if isinstance(served_model, str) and served_model else None
    if not isinstance(raw_usage, dict) or not raw_usage:
        return NormalisedUsage(
            fallback,
            UsageSource.ESTIMATED,
            service_tier=_tier(service_tier),
            served_model=served,
            anomaly=None if partial else "usage_missing",
        )
    reading = _Reading(raw_usage, fallback, partial)
    if dialect == "anthropic":
        quantities = _anthropic(reading)
        tier = raw_usage.get("service_tier") or service_tier
        mode = Mode.BATCH if tier == "batch" else Mode.REALTIME
        tier = "fast" if raw_usage.get("speed") == "fast" else None if mode is Mode.BATCH else tier
    else:
        quantities = _openai(reading, endpoint)
        # A request for `fast` is answered as `priority`, usually.
        tier, mode = "priority" if service_tier == "fast" else service_tier, Mode.REALTIME
    return NormalisedUsage(
        quantities,
        UsageSource.ESTIMATED if reading.estimated else UsageSource.PROVIDER,
        service_tier=_tier(tier),
        mode=mode,
        region=_region(raw_usage.get("inference_geo")),
        served_model=served,
        anomaly=reading.anomaly,
        at_safe_rate=reading.unsafe,
    )


def estimate(*, request_bytes: int, output_characters: int = 0, remote_media: int = 0) -> Quantities:
    """Tokens for a call whose provider does not say: one per three bytes, which is more than most text has.

    `request_bytes` is the length of the request body, JSON and all; `output_characters` the length in UTF-8
    of the text that came back, 0 if nothing did; `remote_media` how many images and files came by address.
    """
    media_tokens = max(remote_media, 0) * REMOTE_MEDIA_TOKENS
    tokens_in = -(-max(request_bytes, 0) // BYTES_PER_TOKEN) + OVERHEAD_TOKENS + media_tokens
    tokens_out = -(-max(output_characters, 0) // BYTES_PER_TOKEN)
    return Quantities(input=tokens_in, output=tokens_out)


def input_bound(*, request_bytes: int, remote_media: int = 0) -> int:
    """More input tokens than a request of this length has: a token of text is at least one byte.

    For reservations that must never be too small. `estimate` is nearer to what will be billed.
    """
    return max(request_bytes, 0) + OVERHEAD_TOKENS + max(remote_media, 0) * REMOTE_MEDIA_TOKENS


class _Reading:
    """One usage object being read: takes counts out of it and remembers what was wrong with them."""

    def __init__(self, raw: dict[str, Any], fallback: Quantities, partial: bool) -> None:
        self.raw = raw
        self.fallback = fallback
        self.partial = partial
        self.anomaly: str | None = None
        self.unsafe = False
        self.estimated = False

    def flag(self, code: str, *, unsafe: bool = True) -> None:
        self.anomaly = self.anomaly or code[:60]
        self.unsafe = self.unsafe or unsafe

    def count(self, name: str, source: dict[str, Any] | None = None, *, unsafe: bool = True) -> int | None:
        """The count, or None if it is absent, null or impossible; the last is flagged."""
        value = (self.raw if source is None else source).get(name)
        if value is None:
            return None
        # `type is int` because True is an int and 12.0 is a guess.
        if type(value) is int and 0 <= value <= PLAUSIBLE:
            return value
        self.flag(f"invalid:{name}", unsafe=unsafe)
        return None

    def counts(self, source: dict[str, Any], *names: str) -> list[int]:
        return [self.count(name, source) or 0 for name in names]

    def details(self, name: str, source: dict[str, Any] | None = None) -> dict[str, Any]:
        value = (self.raw if source is None else source).get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.flag(f"invalid:{name}")
        return {}

    def estimated_input(self, at_least: int = 0) -> int:
        self.estimated = True
        return max(self.fallback.total_input, at_least)

    def output(self, reported: int | None, name: str) -> int:
        """The output total, mended where it cannot be true."""
        seen = self.fallback.total_output
        if reported is None:
            self.flag(f"missing:{name}")
        elif self.partial and seen > reported:
            pass  # the count is from the stream's beginning; what came since is known by its length
        elif reported == 0 and seen:
            self.flag("zero_output")
        else:
            return reported
        self.estimated = True
        return seen


def _openai(reading: _Reading, endpoint: str) -> Quantities:
    names = ("input_tokens", "output_tokens") if endpoint == Endpoint.RESPONSES else _COMPLETION_NAMES
    # Compatible servers mix the two vocabularies.
    name_in, name_out = names if names[0] in reading.raw or names[1] in reading.raw else _swapped(names)
    total_in, total_out = reading.count(name_in), reading.count(name_out)
    total = reading.count("total_tokens", unsafe=False)
    details_in = reading.details(f"{name_in}_details")
    cached, written, audio, image = reading.counts(
        details_in, "cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"
    )
    if total_out is None and endpoint == Endpoint.EMBEDDINGS and reading.raw.get(name_out) is None:
        total_out = 0
    elif total_out is None and total is not None and total_in is not None and total >= total_in:
        reading.flag(f"missing:{name_out}")
        total_out = total - total_in
    else:
        total_out = reading.output(total_out, name_out)
    if not total_in:
        reading.flag(f"missing:{name_in}" if total_in is None else "zero_input")
        known = total - total_out if total is not None else 0
        total_in = known if known > 0 else reading.estimated_input(cached + written + audio + image)

    details_out = reading.details(f"{name_out}_details")
    (audio_out,) = reading.counts(details_out, "audio_tokens")
    reasoning = reading.count("reasoning_tokens", details_out, unsafe=False) or 0
    total_out = _reconcile(reading, total_in, total_out, total, reasoning)
    long_writes = _long_cache_writes(reading, details_in, written)
    if cached + written > total_in:
        reading.flag("cached_exceeds_input")
    if audio_out > total_out:
        reading.flag("audio_exceeds_output")
    requests, drawn = _hosted_tools(reading)
    if reading.unsafe:
        plain = Quantities(input=total_in, output=total_out, reasoning=min(reasoning, total_out))
        return plain + drawn + Quantities(requests=requests)
    # Audio and images may be among the cached tokens: what is left for them is the uncached part.
    uncached = total_in - cached - written
    audio = min(audio, uncached)
    image = min(image, uncached - audio)
    spoken = total_out - audio_out
    exact = Quantities(
        input=uncached - audio - image,
        cache_read=cached,
        cache_write_5m=written - long_writes,
        cache_write_1h=long_writes,
        audio_input=audio,
        image_input=image,
        output=spoken,
        audio_output=audio_out,
        requests=requests,
        reasoning=min(reasoning, spoken),
    )
    return exact + drawn if drawn is not NOTHING else exact


_COMPLETION_NAMES: Final = ("prompt_tokens", "completion_tokens")


def _swapped(names: tuple[str, str]) -> tuple[str, str]:
    return ("input_tokens", "output_tokens") if names == _COMPLETION_NAMES else _COMPLETION_NAMES


def _reconcile(reading: _Reading, total_in: int, total_out: int, total: int | None, reasoning: int) -> int:
    """The output total, once the grand total has been heard."""
    if total is None or reading.estimated or reading.partial:
        return total_out
    difference = total - total_in - total_out
    if difference and difference == reasoning:
        return total_out + reasoning  # some count reasoning beside the completion, not inside
    if difference > 0:
        reading.flag("total_exceeds_parts")
        return total_out + difference
    if difference < 0:
        reading.flag("total_below_parts", unsafe=False)
    return total_out


def _long_cache_writes(reading: _Reading, details: dict[str, Any], written: int) -> int:
    """The part of the cache writes kept for longer than the default, where a provider says so."""
    split = reading.details("cache_write_tokens_details", details)
    if not split:
        return 0
    short, long = reading.counts(split, "ttl_30m_tokens", "ttl_12h_tokens")
    if short + long != written:
        reading.flag("cache_write_split")
    return min(long, written)


def _hosted_tools(reading: _Reading) -> tuple[int, Quantities]:
    """Billable searches, and the tokens of image generation, which a response reports beside its usage."""
    tools = reading.details("tool_usage")
    if not tools:
        return 0, NOTHING
    (searches,) = reading.counts(reading.details("web_search", tools), "num_requests")
    drawn_in, drawn_out = reading.counts(reading.details("image_gen", tools), "input_tokens", "output_tokens")
    if not drawn_in and not drawn_out:
        return searches, NOTHING
    # Another model's tokens, at another model's rates: counted here, and left to an operator to correct.
    reading.flag("image_generation", unsafe=False)
    return searches, Quantities(image_input=drawn_in, output=drawn_out)


def _anthropic(reading: _Reading) -> Quantities:
    quantities = _anthropic_counts(reading, reading.raw, top=True)
    iterations = reading.raw.get("iterations")
    for one in iterations if isinstance(iterations, list) else ():
        # A compaction's tokens are not in the totals; nor are those of an advisor, which is another model.
        if isinstance(one, dict) and one.get("type") in ("compaction", "advisor_message"):
            quantities += _anthropic_counts(reading, one, top=False)
            if one["type"] == "advisor_message":
                reading.flag("other_model_usage")
    tools = reading.details("server_tool_use")
    # Anthropic charges for web searches and for nothing else that it counts here.
    (searches,) = reading.counts(tools, "web_search_requests")
    return quantities + Quantities(requests=searches) if searches else quantities


def _anthropic_counts(reading: _Reading, source: dict[str, Any], *, top: bool) -> Quantities:
    plain = reading.count("input_tokens", source)
    created = reading.count("cache_creation_input_tokens", source)
    (read,) = reading.counts(source, "cache_read_input_tokens")
    split = reading.details("cache_creation", source)
    five, hour = reading.counts(split, "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    if created is None:
        created = five + hour
    elif created > five + hour:
        # The split comes once, at the start; the total grows. What was added is like what was there.
        five, hour = (five, created - five) if hour else (created, 0)
    elif created < five + hour:
        reading.flag("cache_creation_split")
        created = five + hour
    output = reading.count("output_tokens", source)
    if top:
        output = reading.output(output, "output_tokens")
        if plain is None and source.get("input_tokens") is None:
            reading.flag("missing:input_tokens")
        if plain is None:
            plain = max(reading.estimated_input() - created - read, 0)
        if not plain + created + read:
            reading.flag("zero_input")
            plain = reading.estimated_input()
    details = reading.details("output_tokens_details", source)
    thinking = reading.count("thinking_tokens", details, unsafe=False) or 0
    plain, output = plain or 0, output or 0
    return Quantities(
        input=plain,
        cache_read=read,
        cache_write_5m=five,
        cache_write_1h=hour,
        output=output,
        reasoning=min(thinking, output),
    )


def _tier(value: object) -> str:
    """One word for the default tier: `auto`, `standard` and silence are all it."""
    if not isinstance(value, str) or value in ("", "auto", "default", "standard", "standard_only"):
        return STANDARD_TIER
    return value[:20]


def _region(value: object) -> str:
    if not isinstance(value, str) or value.lower() in _REGIONLESS:
        return ANY_REGION
    return value.lower()[:20]
