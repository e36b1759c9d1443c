"""What a call consumed, in disjoint classes, and the form each provider reports it in."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one call. The input classes are disjoint; `output` includes reasoning and audio."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    image_input: int = 0
    output: int = 0
    audio_output: int = 0
    reasoning: int = 0
    rejected: int = 0
    web_searches: int = 0

    @property
    def total_input(self) -> int:
        """All input tokens of whatever class."""
        return (
            self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h
            + self.audio_input + self.image_input
        )  # fmt: skip

    def produced(self, output: int) -> "Usage":
        """Return the usage of the same call had it ended after `output` tokens."""
        if output == self.output:
            return self
        return replace(
            self,
            output=output,
            reasoning=min(self.reasoning, output),
            audio_output=min(self.audio_output, max(output - self.reasoning, 0)),
            rejected=0,
        )

    def raw(self, endpoint: str, service_tier: str) -> dict[str, Any]:
        """Return the usage in the form the provider of this endpoint reports it."""
        if endpoint == "messages":
            return self._anthropic(service_tier)
        if endpoint == "responses":
            return self._openai_responses()
        if endpoint == "embeddings":
            return {"prompt_tokens": self.total_input, "total_tokens": self.total_input}
        return self._openai_chat()

    def _openai_chat(self) -> dict[str, Any]:
        prompt = {"cached_tokens": self.cache_read, "audio_tokens": self.audio_input}
        if self.cache_write_5m or self.cache_write_1h:
            prompt["cache_write_tokens"] = self.cache_write_5m + self.cache_write_1h
        if self.image_input:
            prompt["image_tokens"] = self.image_input
        return {
            "prompt_tokens": self.total_input,
            "completion_tokens": self.output,
            "total_tokens": self.total_input + self.output,
            "prompt_tokens_details": prompt,
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning,
                "audio_tokens": self.audio_output,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": self.rejected,
            },
        }

    def _openai_responses(self) -> dict[str, Any]:
        details: dict[str, int] = {
            "cached_tokens": self.cache_read,
            "cache_write_tokens": self.cache_write_5m + self.cache_write_1h,
        }
        if self.audio_input:
            details["audio_tokens"] = self.audio_input
        if self.image_input:
            details["image_tokens"] = self.image_input
        return {
            "input_tokens": self.total_input,
            "input_tokens_details": details,
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.total_input + self.output,
        }

    def _anthropic(self, service_tier: str) -> dict[str, Any]:
        usage: dict[str, Any] = {
            "input_tokens": self.input + self.image_input + self.audio_input,
            "cache_creation_input_tokens": self.cache_write_5m + self.cache_write_1h,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write_5m,
                "ephemeral_1h_input_tokens": self.cache_write_1h,
            },
            "output_tokens": self.output,
            "service_tier": service_tier,
            "inference_geo": "global",
        }
        if self.reasoning:
            usage["output_tokens_details"] = {"thinking_tokens": self.reasoning}
        if self.web_searches:
            usage["server_tool_use"] = {"web_search_requests": self.web_searches, "web_fetch_requests": 0}
        return usage


def overridden(raw: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Return a raw usage with some fields replaced, and its total recomputed unless that is given too.

    A name that lives in one of the nested objects (`cached_tokens`) may be given at the top.
    """
    result: dict[str, Any] = {
        name: dict(value) if isinstance(value, dict) else value for name, value in raw.items()
    }
    for name, value in override.items():
        nested = [inner for inner in result.values() if isinstance(inner, dict) and name in inner]
        if isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name].update(value)
        elif name in result or not nested:
            result[name] = value
        else:
            nested[0][name] = value
    if "total_tokens" in result and "total_tokens" not in override:
        parts = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
        result["total_tokens"] = sum(result[part] for part in parts if part in result)
    return result


def negated(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the usage a provider in error reports: every count at the top below zero."""
    return {name: -value if isinstance(value, int) else value for name, value in raw.items()}
