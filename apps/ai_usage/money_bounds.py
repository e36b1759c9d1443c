"""The most a call can cost, in the units admission counts in."""

from collections.abc import Iterable
from typing import NamedTuple

from apps.ai_usage.pricing import upper_bound_pico
from apps.ai_usage.quantities import QuantityClass
from apps.ai_usage.tariffs import Tariff
from apps.money import nano_up_from_pico


class Bound(NamedTuple):
    """What all input can cost, the provider's tools included, in 1e-9, and one output token, in 1e-12.

    Both at the dearest target.
    """

    input_nano: int
    output_pico: int


def bound(tariffs: Iterable[Tariff], input_tokens: int, tool_calls: int = 0) -> Bound:
    """Split so that admission may grant less output than was asked for. Their sum is never below the true bound."""
    tariffs = list(tariffs)
    input_pico = upper_bound_pico(tariffs, input_tokens, 0) if input_tokens else 0
    output_pico = tool_pico = 0
    for tariff in tariffs:
        for band in tariff.reachable(input_tokens):
            for row in (band.dearest_output, band.reasoning):
                if row is not None and row.price > output_pico:
                    output_pico = row.price
            if tool_calls and (fee := band.by_class.get(QuantityClass.REQUESTS)) is not None:
                tool_pico = max(tool_pico, fee.price)
    return Bound(nano_up_from_pico(input_pico + tool_calls * tool_pico), output_pico)
