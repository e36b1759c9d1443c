"""Endpoints of budgets."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from apps.governance import selectors as governance
from apps.governance.budgeting import LEVELS, UNITS, WINDOWS, BudgetTerms
from apps.governance.gates import EveryPlan
from apps.governance.types import TenantBudget
from apps.governance_faces import budgets
from apps.keys.rest import ApiRequest, CursorPage, StrictSerializer, TenantAPIView, describes, page_of

_AMOUNT: dict[str, Any] = {"max_digits": 38, "decimal_places": 12}
_BINDS = EveryPlan("a budget that was set goes on to bind, so it can always be seen and removed")
BUDGET_LEVELS, BUDGET_UNITS, BUDGET_WINDOWS = list(LEVELS), list(UNITS), list(WINDOWS)


class BudgetTermsSerializer(StrictSerializer):
    """What of a budget can change."""

    amount = serializers.DecimalField(
        **_AMOUNT,
        min_value=Decimal(0),
        help_text="Money in your currency (up to 9 decimals), or whole tokens.",
    )
    hard = serializers.BooleanField(
        required=False, default=True, help_text="True: refuses what does not fit. False: only tells."
    )
    shadow = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Refuses nothing; what a hard budget would have refused is counted.",
    )
    alert_at = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=1000),
        required=False,
        default=[80, 100],
        max_length=10,
        help_text="Percentages at which people are told, once in each window.",
    )


class SetBudget(BudgetTermsSerializer):
    """A new budget."""

    level = serializers.ChoiceField(choices=BUDGET_LEVELS)
    subject_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="The member, service account or key; not for the tenant."
    )
    unit = serializers.ChoiceField(choices=BUDGET_UNITS, required=False, default="money")
    window = serializers.ChoiceField(choices=BUDGET_WINDOWS, help_text="In UTC.")


class ChangeBudget(BudgetTermsSerializer):
    """What is to be changed; what is not given stays."""

    def get_fields(self) -> dict[str, Any]:
        """The same members, none of which has to be there or has a default."""
        fields = super().get_fields()
        for field in fields.values():
            field.required, field.default = False, serializers.empty
        return fields


class BudgetSerializer(serializers.Serializer[Any]):
    """A budget and how it stands in its window now."""

    id = serializers.UUIDField(source="budget.id")
    level = serializers.ChoiceField(choices=BUDGET_LEVELS, source="budget.level")
    subject_id = serializers.UUIDField(source="budget.subject_id", allow_null=True)
    subject = serializers.CharField(help_text="What it is on, by name; empty where that is gone.")
    unit = serializers.ChoiceField(choices=BUDGET_UNITS, source="budget.unit")
    window = serializers.ChoiceField(choices=BUDGET_WINDOWS, source="budget.window")
    amount = serializers.DecimalField(**_AMOUNT, normalize_output=True, source="budget.amount")
    hard = serializers.BooleanField(source="budget.hard")
    shadow = serializers.BooleanField(source="budget.shadow")
    alert_at = serializers.ListField(child=serializers.IntegerField(), source="budget.alert_at")
    limit = serializers.CharField(
        source="budget.limit_name", help_text="As refusals and explanations of calls name it."
    )
    spent = serializers.DecimalField(**_AMOUNT, normalize_output=True)
    reserved = serializers.DecimalField(
        **_AMOUNT,
        normalize_output=True,
        allow_null=True,
        source="standing.reserved",
        help_text="Held by calls under way; null while that is not known.",
    )
    left = serializers.DecimalField(**_AMOUNT, normalize_output=True)
    window_start = serializers.DateTimeField(source="standing.starts_at")
    resets_at = serializers.DateTimeField(source="standing.resets_at")
    would_have_refused = serializers.IntegerField(
        allow_null=True, help_text="Calls in this window that a budget in shadow would have refused."
    )


class BudgetQuery(StrictSerializer):
    """Which budgets."""

    level = serializers.ChoiceField(choices=BUDGET_LEVELS, required=False)
    subject_id = serializers.UUIDField(required=False)


class BudgetList(TenantAPIView):
    """The tenant's budgets."""

    scopes = {"GET": "settings:read", "POST": None}
    feature = {"GET": _BINDS, "POST": "budgets"}

    @describes(page_of(BudgetSerializer), query=BudgetQuery, name="budgets_list", tag="budgets")
    def get(self, request: ApiRequest) -> Response:
        """Budgets, oldest first, each with what is spent, reserved and left of it."""
        given = {
            name: value for name, value in request.query_params.items() if name not in ("limit", "cursor")
        }
        query = BudgetQuery(data=given)
        query.is_valid(raise_exception=True)
        wanted = dict(query.validated_data)

        def fetch(after: str | None, limit: int) -> list[budgets.BudgetState]:
            found = governance.budgets(after=UUID(after) if after else None, limit=limit, **wanted)
            return budgets.states(found, now=timezone.now())

        return CursorPage(request).answer(
            fetch=fetch, position=lambda state: state.budget.id, show=BudgetSerializer
        )

    @describes(BudgetSerializer, body=SetBudget, status=201, name="budgets_set", tag="budgets")
    def post(self, request: ApiRequest) -> Response:
        """Set a budget. It counts what its window has seen already, and holds from the next call on.

        `settings:write` sets any; `keys:write` those on keys that you may change, but not on the key you use.
        """
        body = _body(SetBudget, request)
        made = budgets.set_budget(
            actor=request.actor,
            level=body.pop("level"),
            subject_id=body.pop("subject_id", None),
            unit=body.pop("unit"),
            window=body.pop("window"),
            terms=BudgetTerms(**body),
        )
        return Response(_shown(made), status=201, headers={"Location": f"/api/v1/budgets/{made.id}"})


class BudgetOne(TenantAPIView):
    """One budget."""

    scopes = {"GET": "settings:read", "PATCH": None, "DELETE": None}
    feature = {"GET": _BINDS, "PATCH": "budgets", "DELETE": _BINDS}

    @describes(BudgetSerializer, name="budgets_get", tag="budgets")
    def get(self, request: ApiRequest, budget_id: UUID) -> Response:
        """A budget and how it stands."""
        return Response(_shown(governance.budget(budget_id)))

    @describes(BudgetSerializer, body=ChangeBudget, name="budgets_change", tag="budgets")
    def patch(self, request: ApiRequest, budget_id: UUID) -> Response:
        """Change its amount, kind or alerts; whom it is on, its unit and its window stay."""
        changes = _body(ChangeBudget, request)
        return Response(_shown(budgets.change_budget(budget_id, actor=request.actor, changes=changes)))

    @describes(None, status=204, name="budgets_remove", tag="budgets")
    def delete(self, request: ApiRequest, budget_id: UUID) -> Response:
        """Remove it."""
        budgets.remove_budget(budget_id, actor=request.actor)
        return Response(status=204)


def _body(serializer: type[Any], request: ApiRequest) -> dict[str, Any]:
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    found = dict(body.validated_data)
    if "alert_at" in found:
        found["alert_at"] = tuple(found["alert_at"])
    return found


def _shown(budget: TenantBudget) -> Any:
    return BudgetSerializer(budgets.states([budget], now=timezone.now())[0]).data
