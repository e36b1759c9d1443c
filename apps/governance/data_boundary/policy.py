"""A tenant's data boundary: what to do about each class in each direction, never looser than the operator says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

from apps.governance.data_boundary.classes import STRICTNESS, Action, DataClass, Direction
from apps.governance.data_boundary.errors import InvalidBoundary
from apps.governance.data_boundary.phones import known_regions
from apps.governance.data_boundary.scanning import Scanner

ON_FAILURE: Final = ("block", "allow")
MOST_REGIONS: Final = 20
Actions = Mapping[DataClass, Action]


@dataclass(frozen=True)
class Boundary:
    """What is looked for, and what is done about it. Empty: nothing."""

    version: int = 0
    request: Actions = field(default_factory=dict)
    response: Actions = field(default_factory=dict)
    # Whether the placeholders of a request are turned back into what they stand for in its answer.
    restore: bool = False
    # What happens to a text that could not be inspected.
    on_failure: str = "block"
    # Whose national phone numbers are recognised.
    phone_regions: tuple[str, ...] = ("US",)
    # For how many days prompts and answers are kept; None: not at all.
    retention_days: int | None = None

    def actions(self, direction: Direction) -> Actions:
        """What is done in a direction."""
        return self.request if direction is Direction.REQUEST else self.response

    @cached_property
    def request_scanner(self) -> Scanner | None:
        """Finds what the policy names in requests; None where it names nothing."""
        return self._scanner(self.request)

    @cached_property
    def response_scanner(self) -> Scanner | None:
        """Finds what the policy names in answers; None where it names nothing."""
        return self._scanner(self.response)

    def _scanner(self, actions: Actions) -> Scanner | None:
        if not actions:
            return None
        return Scanner({kind: STRICTNESS[action] for kind, action in actions.items()}, self.phone_regions)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do at all."""
        return not self.request and not self.response and self.retention_days is None

    def within(self, floor: "Floor") -> Self:
        """The same, as strict as the operator wants it at least."""
        return type(self)(
            version=self.version,
            request=_strictest(self.request, floor.request),
            response=_strictest(self.response, floor.response),
            restore=self.restore,
            on_failure="block" if floor.block_on_failure else self.on_failure,
            phone_regions=self.phone_regions,
            retention_days=at_most(self.retention_days, floor.most_retention_days),
        )

    def to_json(self) -> dict[str, Any]:
        """The stored form, and what the audit log shows."""
        return {
            "request": {kind.value: action.value for kind, action in self.request.items()},
            "response": {kind.value: action.value for kind, action in self.response.items()},
            "restore": self.restore,
            "on_failure": self.on_failure,
            "phone_regions": list(self.phone_regions),
            "retention_days": self.retention_days,
        }

    def for_audit(self) -> dict[str, Any]:
        """As the audit log shows it, which takes no member that is named like a secret, as some classes are."""
        return _listed(self.to_json())

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], version: int = 0) -> Self:
        """From the stored form; InvalidBoundary where it is not one."""
        regions = tuple(dict.fromkeys(str(region).upper() for region in stored.get("phone_regions", ("US",))))
        unknown = sorted(set(regions) - known_regions())
        if unknown or len(regions) > MOST_REGIONS:
            raise InvalidBoundary(
                f"phone regions are at most {MOST_REGIONS} ISO 3166 codes such as US or DE"
                + (f", and not {', '.join(unknown)[:80]}" if unknown else "")
            )
        on_failure = stored.get("on_failure", "block")
        if on_failure not in ON_FAILURE:
            raise InvalidBoundary("on_failure is block or allow")
        days = stored.get("retention_days")
        if days is not None and (type(days) is not int or not 1 <= days <= 3650):
            raise InvalidBoundary("retention_days is a whole number from 1 to 3650, or null")
        return cls(
            version=version,
            request=_actions(stored.get("request", {})),
            response=_actions(stored.get("response", {})),
            restore=bool(stored.get("restore", False)),
            on_failure=on_failure,
            phone_regions=regions,
            retention_days=days,
        )


@dataclass(frozen=True)
class Floor:
    """What the operator requires of every tenant: classes blocked or redacted at least, and bounds on keeping."""

    request: Actions = field(default_factory=dict)
    response: Actions = field(default_factory=dict)
    block_on_failure: bool = False
    # None: as long as a tenant likes; 0: nothing may be kept.
    most_retention_days: int | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """From the stored form; InvalidBoundary where it is not one."""
        days = stored.get("most_retention_days")
        if days is not None and (type(days) is not int or not 0 <= days <= 3650):
            raise InvalidBoundary("most_retention_days is a whole number from 0 to 3650, or null")
        return cls(
            request=_actions(stored.get("request", {})),
            response=_actions(stored.get("response", {})),
            block_on_failure=bool(stored.get("block_on_failure", False)),
            most_retention_days=days,
        )

    def for_audit(self) -> dict[str, Any]:
        """As the audit log shows it."""
        return _listed(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "request": {kind.value: action.value for kind, action in self.request.items()},
            "response": {kind.value: action.value for kind, action in self.response.items()},
            "block_on_failure": self.block_on_failure,
            "most_retention_days": self.most_retention_days,
        }


def _listed(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [f"{action} {kind}" for kind, action in value.items()] if isinstance(value, dict) else value
        for name, value in settings.items()
    }


def at_most(days: int | None, most: int | None) -> int | None:
    """Days to keep within a bound; None: keep nothing."""
    if days is None or most == 0:
        return None
    return days if most is None else min(days, most)


def _strictest(own: Actions, least: Actions) -> Actions:
    kinds = [kind for kind in DataClass if kind in own or kind in least]
    return {
        kind: max((own.get(kind), least.get(kind)), key=STRICTNESS.__getitem__) or Action.ALLOW
        for kind in kinds
    }


def _actions(stored: Any) -> dict[DataClass, Action]:
    if not isinstance(stored, Mapping):
        raise InvalidBoundary("request and response are objects of class and action")
    try:
        given = {DataClass(kind): Action(action) for kind, action in stored.items() if action}
    except ValueError as wrong:
        raise InvalidBoundary(f"{str(wrong)[:80]}; classes are {', '.join(DataClass)}") from None
    return {kind: given[kind] for kind in DataClass if kind in given}
