"""What an answer from memory costs."""

from django.conf import settings

from apps.governance.types import Entitlements


def cached_answer_percent(entitlements: Entitlements) -> int:
    """Per cent of a call's price: what plan or tenant says, otherwise the operator's default."""
    said = entitlements.limit("cached_answer_percent")
    return min(100, max(0, settings.ANSWER_CACHE_PRICE_PERCENT if said is None else said))
