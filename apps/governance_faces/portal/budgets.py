"""The pages about budgets."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from apps.errors import DomainError
from apps.governance import selectors as governance
from apps.governance.budgeting import BudgetTerms
from apps.governance.gates import EveryPlan, may
from apps.governance_faces import budgets
from apps.governance_faces.budgets import MAY_SET_ALL, BudgetState
from apps.identity.selectors import members
from apps.identity.services import portal_view
from apps.keys import selectors as keys

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_BINDS = EveryPlan("a budget that was set goes on to bind, so it can always be seen and removed")
_MOST = 500
_KINDS = [
    ("hard", "Refuses what does not fit"),
    ("soft", "Only tells"),
    ("shadow", "Only counts what it would refuse (shadow)"),
]
_LEVELS = {"tenant": "Tenant", "member": "Member", "service_account": "Service account", "key": "Key"}


class TermsForm(forms.Form):
    """What of a budget can change."""

    amount = forms.DecimalField(
        min_value=Decimal(0), max_digits=38, decimal_places=9, help_text="In your currency, or whole tokens."
    )
    kind = forms.ChoiceField(choices=_KINDS, initial="hard")
    alert_at = forms.CharField(
        required=False,
        initial="80, 100",
        label="Tell at",
        help_text="Percentages, separated by commas; people are told once in each window. Empty: never.",
    )

    def clean_alert_at(self) -> tuple[int, ...]:
        """The percentages as numbers."""
        try:
            return tuple(int(word) for word in self.cleaned_data["alert_at"].replace(",", " ").split())
        except ValueError:
            raise forms.ValidationError("Write whole percentages, such as 80, 100.") from None

    def terms(self) -> BudgetTerms:
        """What was typed, as the service takes it."""
        data = self.cleaned_data
        return BudgetTerms(
            amount=data["amount"],
            hard=data["kind"] != "soft",
            shadow=data["kind"] == "shadow",
            alert_at=data["alert_at"],
        )


class BudgetForm(TermsForm):
    """A new budget, on whom this member may set one."""

    subject = forms.ChoiceField(label="On", help_text="A key's budget counts its child keys too.")
    unit = forms.ChoiceField(choices=[("money", "Money"), ("tokens", "Tokens")])
    window = forms.ChoiceField(choices=[("month", "Each month"), ("day", "Each day")], help_text="In UTC.")
    field_order = ["subject", "unit", "window", "amount", "kind", "alert_at"]

    def __init__(self, *args: Any, request: "PortalRequest", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["subject"].choices = _subjects(request)  # type: ignore[attr-defined]


@portal_view(
    scopes={"GET": "settings:read", "POST": "settings:read"}, feature={"GET": _BINDS, "POST": "budgets"}
)
def budget_list(request: "PortalRequest") -> HttpResponse:
    """The tenant's budgets and how they stand; POST sets one."""
    may_set = may("budgets").allowed and bool({MAY_SET_ALL, "keys:write"} & request.member.scopes)
    wanted = request.GET.get("key", "")
    form = (
        BudgetForm(
            request.POST if request.method == "POST" else None,
            request=request,
            initial={"subject": f"key:{wanted}"} if wanted else {},
        )
        if may_set
        else None
    )
    if form is not None and request.method == "POST" and form.is_valid():
        level, _, subject = form.cleaned_data["subject"].partition(":")
        try:
            budgets.set_budget(
                actor=request.actor,
                level=level,
                subject_id=UUID(subject) if subject else None,
                unit=form.cleaned_data["unit"],
                window=form.cleaned_data["window"],
                terms=form.terms(),
            )
        except DomainError as refused:
            form.add_error(None, refused.message)
        else:
            messages.success(request, "The budget is set. It holds from the next call on.")
            return redirect("governance:budgets")
    currency = governance.entitlements().currency
    found = governance.budgets(limit=_MOST)
    return render(
        request,
        "governance/budgets.html",
        {
            "budgets": [_shown(state, currency) for state in budgets.states(found, now=timezone.now())],
            "form": form,
            "open_form": bool(wanted),
            "currency": currency,
        },
        status=400 if form is not None and form.is_bound else 200,
    )


@portal_view(
    scopes={"GET": "settings:read", "POST": "settings:read"}, feature={"GET": _BINDS, "POST": "budgets"}
)
def edit(request: "PortalRequest", budget_id: UUID) -> HttpResponse:
    """Change a budget's amount, kind or alerts."""
    budget = governance.budget(budget_id)
    form = TermsForm(
        request.POST if request.method == "POST" else None,
        initial={
            "amount": f"{budget.amount.normalize():f}",
            "kind": "shadow" if budget.shadow else "hard" if budget.hard else "soft",
            "alert_at": ", ".join(map(str, budget.alert_at)),
        },
    )
    if request.method == "POST" and form.is_valid():
        terms = form.terms()
        changes = {name: getattr(terms, name) for name in ("amount", "hard", "shadow", "alert_at")}
        try:
            budgets.change_budget(budget_id, actor=request.actor, changes=changes)
        except DomainError as refused:
            form.add_error(None, refused.message)
        else:
            messages.success(request, "The budget is changed. It holds from the next call on.")
            return redirect("governance:budgets")
    (state,) = budgets.states([budget], now=timezone.now())
    return render(
        request,
        "governance/budget_edit.html",
        {"budget": _shown(state, governance.entitlements().currency), "form": form},
        status=400 if form.is_bound else 200,
    )


@portal_view(scopes={"POST": "settings:read"}, feature={"POST": _BINDS})
def remove(request: "PortalRequest", budget_id: UUID) -> HttpResponse:
    """Remove a budget."""
    budgets.remove_budget(budget_id, actor=request.actor)
    messages.success(request, "The budget is removed.")
    return redirect("governance:budgets")


def _shown(state: BudgetState, currency: str) -> dict[str, Any]:
    budget = state.budget
    in_money = budget.unit == "money"
    return {
        "subject": state.subject or "Somebody or something that is gone",
        "level": _LEVELS[budget.level],
        "window": "month" if budget.window == "month" else "day",
        "kind": "shadow" if budget.shadow else "hard" if budget.hard else "soft",
        "unit": budget.unit,
        "amount": budget.amount if in_money else int(budget.amount),
        "spent": state.spent if in_money else int(state.spent),
        "reserved": (state.standing.reserved or 0) if in_money else int(state.standing.reserved or 0),
        "currency": currency if in_money else "",
        "alert_at": ", ".join(f"{percent}%" for percent in budget.alert_at),
        "resets_at": state.standing.resets_at,
        "would_have_refused": state.would_have_refused,
        "edit_url": reverse("governance:budget-edit", args=[budget.id]),
        "remove_url": reverse("governance:budget-remove", args=[budget.id]),
    }


def _subjects(request: "PortalRequest") -> list[tuple[str, Any]]:
    living = keys.keys(limit=_MOST, only_living=True)
    if MAY_SET_ALL not in request.member.scopes:
        mine = [key for key in living if keys.may_be_managed_by(request.actor, key.id)]
        return [("Keys", [(f"key:{key.id}", key.name) for key in mine])]
    groups: list[tuple[str, Any]] = [("tenant", "The whole tenant")]
    groups.append(("Keys", [(f"key:{key.id}", key.name) for key in living]))
    groups.append(("Members", [(f"member:{each.id}", each.label) for each in members() if each.is_active]))
    accounts = keys.service_accounts(limit=_MOST)
    groups.append(("Service accounts", [(f"service_account:{each.id}", each.name) for each in accounts]))
    return [(label, choices) for label, choices in groups if choices]
