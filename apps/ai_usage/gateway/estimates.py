"""How much output a key's calls to a model tend to have: for token rates and budgets that hold an estimate."""

from collections import OrderedDict
from uuid import UUID

_MOST = 50_000
_FIRST_GUESS = 512
_QUANTILE = 0.95


class OutputEstimates:
    """An estimate of the 95th percentile per key and model, moved a step by each call: constant memory and time.

    After each call the estimate goes up by a share of itself if the output was above it and down by a nineteenth
    of that if below, so it settles where one call in twenty is above (stochastic approximation of a quantile).
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[UUID, str], float] = OrderedDict()

    def expect(self, key_id: UUID, model: str, most: int) -> int:
        """Output tokens that nineteen of twenty such calls stay below, and never more than they may have."""
        return min(most, round(self._known.get((key_id, model), _FIRST_GUESS)) + 1)

    def learn(self, key_id: UUID, model: str, output_tokens: int) -> None:
        """Move the estimate by what a call really had."""
        at = (key_id, model)
        known = self._known.get(at)
        if known is None:
            self._known[at] = max(float(output_tokens), 16.0)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
            return
        step = 0.1 * known
        moved = known + step * _QUANTILE if output_tokens > known else known - step * (1 - _QUANTILE)
        self._known[at] = max(16.0, moved)
