"""All objects in memory, newest last, and the events that changes of them make."""

import secrets
import string
from collections.abc import Callable, Iterable
from typing import Any

from deploy.local.stripe_double.clock import Clock
from deploy.local.stripe_double.errors import invalid, missing

Thing = dict[str, Any]
API_VERSION = "2026-05-27.dahlia"
_LETTERS = string.ascii_letters + string.digits


class Store:
    """Objects by kind and id. `announce` is told each event as it happens."""

    def __init__(self, clock: Clock, announce: Callable[[Thing], None]) -> None:
        self.clock = clock
        self._announce = announce
        self._kinds: dict[str, dict[str, Thing]] = {}
        self._numbers = 0

    def new_id(self, prefix: str) -> str:
        """An id as Stripe makes them."""
        return f"{prefix}_" + "".join(secrets.choice(_LETTERS) for _ in range(24))

    def add(self, kind: str, thing: Thing) -> Thing:
        """Keep a new object."""
        self._kinds.setdefault(kind, {})[thing["id"]] = thing
        return thing

    def get(self, kind: str, id: str) -> Thing:
        """An object; a 404 in Stripe's words otherwise."""
        found = self._kinds.get(kind, {}).get(id)
        if found is None:
            raise missing(kind, id)
        return found

    def remove(self, kind: str, id: str) -> None:
        """Forget an object."""
        self._kinds[kind].pop(id)

    def all(self, kind: str) -> list[Thing]:
        """Every object of a kind, newest first."""
        return list(reversed(self._kinds.get(kind, {}).values()))

    def page(self, things: Iterable[Thing], url: str, asked: Thing) -> Thing:
        """One page of a list, by `limit` and `starting_after` or `ending_before`."""
        found = list(things)
        limit = int(asked.get("limit", 10))
        if not 1 <= limit <= 100:
            raise invalid("limit must be between 1 and 100", param="limit")
        ids = [thing["id"] for thing in found]
        if after := asked.get("starting_after"):
            if after not in ids:
                raise missing("object", after)
            found = found[ids.index(after) + 1 :]
        elif before := asked.get("ending_before"):
            if before not in ids:
                raise missing("object", before)
            found = found[: ids.index(before)][-limit:]
        return {"object": "list", "url": url, "has_more": len(found) > limit, "data": found[:limit]}

    def next_number(self) -> int:
        """The next invoice number."""
        self._numbers += 1
        return self._numbers

    def event(self, type: str, thing: Thing, *, key: str | None = None, before: Thing | None = None) -> None:
        """Make an event of what has become of an object, as it is now."""
        data: Thing = {"object": _copy(thing)}
        if before is not None:
            data["previous_attributes"] = {
                name: before[name] for name in before if before[name] != thing.get(name)
            }
        self._announce(
            self.add(
                "event",
                {
                    "id": self.new_id("evt"),
                    "object": "event",
                    "api_version": API_VERSION,
                    "created": self.clock.now(),
                    "data": data,
                    "livemode": False,
                    "pending_webhooks": 1,
                    "request": {"id": self.new_id("req"), "idempotency_key": key},
                    "type": type,
                },
            )
        )


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
