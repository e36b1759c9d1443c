"""How an operator signs in: password, a bound on attempts, and an entry in the operators' log for each."""

from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from redis.exceptions import RedisError
from unfold.forms import AuthenticationForm

from apps.governance import services as governance
from apps.governance.types import Actor, ActorKind
from apps.identity.addresses import client_address
from apps.identity.middleware import operator_actor
from apps.identity.models import User


class OperatorSignIn(AuthenticationForm):
    """The form of the operator admin's door."""

    def clean(self) -> dict[str, Any]:
        email = (self.cleaned_data.get("username") or "").strip().lower()
        address = client_address(self.request) or "unknown"
        attempt = _Attempt(email, address)
        if not attempt.is_allowed():
            self._note("operator.sign_in_limited", email, address)
            raise ValidationError("Too many attempts. Wait five minutes and try again.", code="rate_limited")
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            self._note("operator.sign_in_failed", email, address)
            raise
        attempt.forget()
        user = self.get_user()
        assert isinstance(user, User)
        governance.record_operator_audit(
            "operator.signed_in",
            actor=operator_actor(user, self.request),
            target_kind="operator",
            target_id=user.pk,
            details={"address": address},
        )
        return cleaned

    def _note(self, action: str, email: str, address: str) -> None:
        actor = Actor(kind=ActorKind.SYSTEM, name="sign-in", address=address)
        governance.record_operator_audit(
            action, actor=actor, details={"email": email[:254], "address": address}
        )


class _Attempt:
    """Counts attempts per e-mail and per address in a window that begins with the first; success doesn't
    count.
    """

    def __init__(self, email: str, address: str) -> None:
        limits = settings.OPERATOR_SIGN_IN_LIMITS
        self._bounds = {f"operator-sign-in:email:{email}": limits["email"]}
        self._bounds[f"operator-sign-in:address:{address}"] = limits["address"]
        self._seconds = limits["seconds"]

    def is_allowed(self) -> bool:
        """Take one attempt: counted before the password is looked at, so that many at once are bounded."""
        try:
            taken = {key: self._take(key) for key in self._bounds}
        except RedisError:
            raise ValidationError(
                "Sign-in is not possible right now, because attempts cannot be counted. Try again shortly.",
                code="unavailable",
            ) from None
        return all(taken[key] <= bound for key, bound in self._bounds.items())

    def forget(self) -> None:
        for key in self._bounds:
            try:
                cache.decr(key)
            except (RedisError, ValueError):
                continue

    def _take(self, key: str) -> int:
        cache.add(key, 0, timeout=self._seconds)
        try:
            return int(cache.incr(key))
        except ValueError:
            # The window ended between the two.
            cache.set(key, 1, timeout=self._seconds)
            return 1
