"""What the tenant may use, and where each part is from."""

from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.shortcuts import render

from apps.governance.gates import EveryPlan
from apps.governance.selectors import entitlements, granted_features
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_FROM = {
    "plan": "From your plan",
    "override": "Given by your provider",
    "licence": "From the licence",
    "default": "In every plan, unless it says otherwise",
}


@portal_view(scopes="settings:read", feature=EveryPlan("what a plan includes is everybody's to know"))
def entitled(request: "PortalRequest") -> HttpResponse:
    """Features and limits as they hold now."""
    now = entitlements()
    return render(
        request,
        "governance/plan.html",
        {
            "plan": now.plan,
            "models": now.models,
            "granted": [
                {
                    "name": each.feature.name.replace("_", " ").capitalize(),
                    "gates": each.feature.gates,
                    "kind": each.feature.kind.value,
                    "value": each.value,
                    "currency": now.currency if each.feature.kind == "metered" else "",
                    "origin": _FROM.get(each.origin, each.origin),
                }
                for each in granted_features()
            ],
        },
    )
