"""A tenant's rule for answers from memory: off unless it asked for it, within what the operator allows."""

import re
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.governance.announcing import announce_change
from apps.governance.audit import record_audit
from apps.governance.errors import InvalidAnswerCache
from apps.governance.models import AnswerCache
from apps.governance.types import Actor, AnswerCacheRule
from apps.tenancy.services import lock_tenant

DEFAULT_SECONDS = 3600
_MOST_ROUTES = 100
_ROUTE = re.compile(r"[^\s\x00-\x1f]{1,120}\Z")


def answer_cache() -> AnswerCacheRule:
    """The rule of the tenant in force."""
    row = AnswerCache.objects.filter(pk=1).first()
    if row is None:
        return AnswerCacheRule(enabled=False, seconds=min(DEFAULT_SECONDS, longest()))
    return AnswerCacheRule(
        enabled=row.enabled,
        seconds=min(row.seconds, longest()),
        models=tuple(row.routes),
        changed_at=row.changed_at,
    )


def longest() -> int:
    """The operator's bound on how long answers are repeated, in seconds; at least one for the form's sake."""
    return max(1, settings.ANSWER_CACHE_LONGEST_SECONDS)


def is_offered() -> bool:
    """Whether the operator lets tenants have answers repeated at all."""
    return bool(settings.ANSWER_CACHE_LONGEST_SECONDS)


@transaction.atomic
def set_answer_cache(*, actor: Actor, enabled: bool, seconds: int, models: Sequence[str]) -> AnswerCacheRule:
    """Change the rule, from the next request on. Answers kept under the old one are never used again."""
    lock_tenant("answer cache")
    named = tuple(dict.fromkeys(models))
    if enabled and not is_offered():
        raise InvalidAnswerCache("The operator does not offer answers from memory.")
    if not 1 <= seconds <= longest():
        raise InvalidAnswerCache(f"Answers are kept for 1 to {longest()} seconds.")
    if len(named) > _MOST_ROUTES or not all(_ROUTE.match(name) for name in named):
        raise InvalidAnswerCache(f"Name at most {_MOST_ROUTES} models, each by its public name.")
    before, rule = answer_cache(), AnswerCacheRule(enabled=enabled, seconds=seconds, models=named)
    if before == rule:
        return before
    AnswerCache.objects.update_or_create(
        pk=1,
        defaults={
            "enabled": enabled,
            "seconds": seconds,
            "routes": list(named),
            "changed_at": timezone.now(),
        },
    )
    record_audit(
        "answer_cache.changed",
        actor=actor,
        target_kind="setting",
        target_id="answer_cache",
        details={"enabled": enabled, "seconds": seconds, "models": list(named)},
    )
    announce_change()
    return answer_cache()
