"""What may be asked of usage and calls."""

from datetime import datetime, timedelta
from typing import Any

from rest_framework import serializers

from apps.ai_usage.insight.types import CallFilter, Grouping, Outcome, Period, UsageFilter, whole_hour
from apps.keys.rest import ApiRequest, StrictSerializer

_GROUPINGS = ", ".join(f"`{each}`" for each in Grouping)


class _PeriodQuery(StrictSerializer):
    """A stretch of time. Its bounds' names are words of Python's, so they are not written as members."""

    from_help = ""
    to_help = ""

    def get_fields(self) -> dict[str, Any]:
        """The bounds before everything else."""
        bounds = {
            "from": serializers.DateTimeField(required=False, help_text=self.from_help),
            "to": serializers.DateTimeField(required=False, help_text=self.to_help),
        }
        return bounds | super().get_fields()


class UsageQuery(_PeriodQuery):
    """Which usage, and how it is split."""

    from_help = (
        "The first moment, on the hour. A date is its midnight in UTC. Default: when this month began."
    )
    to_help = "The first moment that is not part of it any more. Default: the end of the running hour."
    group_by = serializers.CharField(
        required=False, default="model", allow_blank=True, max_length=60,
        help_text=f"Any of {_GROUPINGS}, separated by commas, at most one a time. Empty: one sum.",
    )  # fmt: skip
    model = serializers.CharField(required=False, default="", max_length=120)
    key = serializers.UUIDField(required=False, default=None, help_text="A key's id.")
    owner = serializers.UUIDField(
        required=False, default=None, help_text="The id of a member or a service account."
    )

    def validate_group_by(self, value: str) -> list[Grouping]:
        """The groupings by name."""
        words = [word.strip() for word in value.split(",") if word.strip()]
        unknown = [word for word in words if word not in list(Grouping)]
        if unknown:
            raise serializers.ValidationError(
                f"There is no grouping {unknown[0]!r}. Use any of {_GROUPINGS}."
            )
        return [Grouping(word) for word in words]


class CallQuery(_PeriodQuery):
    """Which calls."""

    from_help = "Calls that began at this moment or later."
    to_help = "Calls that began before this moment."
    model = serializers.CharField(
        required=False, default="", max_length=120, help_text="As it was asked for."
    )
    key = serializers.UUIDField(required=False, default=None, help_text="A key's id.")
    owner = serializers.UUIDField(
        required=False, default=None, help_text="The id of a member or a service account."
    )
    outcome = serializers.ChoiceField(
        required=False, default="", choices=[each.value for each in Outcome], help_text="How it ended."
    )
    environment = serializers.ChoiceField(required=False, default="", choices=["live", "test"])


def query_of(serializer: type[StrictSerializer], request: ApiRequest) -> dict[str, Any]:
    """The query's members, each given once; the page's own are left to the page."""
    paged = {name: value for name, value in request.query_params.items() if name not in ("limit", "cursor")}
    given = request.query_params.dict() if serializer is UsageQuery else paged
    query = serializer(data=given)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


def asked_period(query: dict[str, Any], now: datetime) -> Period:
    """The stretch of time that a usage query means."""
    ends = query.get("to") or whole_hour(now) + timedelta(hours=1)
    starts = query.get("from") or Period.month_of(ends - timedelta(hours=1)).starts_at
    return Period(starts, ends)


def asked_usage(query: dict[str, Any]) -> UsageFilter:
    """The filter that a usage query means."""
    return UsageFilter(model=query["model"], key_id=query["key"], owner_id=query["owner"])


def asked_calls(query: dict[str, Any]) -> CallFilter:
    """The filter that a query for calls means."""
    return CallFilter(
        model=query["model"],
        key_id=query["key"],
        owner_id=query["owner"],
        outcome=query["outcome"],
        environment=query["environment"],
        starts_at=query.get("from"),
        ends_at=query.get("to"),
    )
