"""The page on which a tenant has answers to identical requests repeated from memory."""

from typing import TYPE_CHECKING

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.ai_usage import selectors as ai_usage
from apps.errors import DomainError
from apps.governance import selectors, services
from apps.governance.gates import EveryPlan
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest


class AnswerCacheForm(forms.Form):
    """The rule as a person writes it."""

    enabled = forms.BooleanField(required=False, label="Repeat answers to identical requests")
    seconds = forms.IntegerField(min_value=1, label="Keep an answer for", help_text="Seconds.")
    models = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        label="Models",
        help_text="Public names, one a line. Empty: every model.",
    )

    def named(self) -> list[str]:
        """The models, one a line or with commas between."""
        return self.cleaned_data["models"].replace(",", "\n").split()


@portal_view(
    scopes={"GET": "settings:read", "POST": "settings:write"},
    feature=EveryPlan("what a repeated answer costs is the plan's, whether there is one is the tenant's"),
)
def answer_cache(request: "PortalRequest") -> HttpResponse:
    """Switch it on or off, for how long and for which models."""
    rule = selectors.answer_cache()
    initial = {"enabled": rule.enabled, "seconds": rule.seconds, "models": "\n".join(rule.models)}
    form = AnswerCacheForm(request.POST if request.method == "POST" else None, initial=initial)
    longest = settings.ANSWER_CACHE_LONGEST_SECONDS
    form.fields["seconds"].help_text = f"Seconds, at most {longest}."
    may_write = "settings:write" in request.member.scopes
    for field in form.fields.values():
        field.disabled = not may_write
    if request.method == "POST" and form.is_valid():
        try:
            services.set_answer_cache(
                actor=request.actor,
                enabled=form.cleaned_data["enabled"],
                seconds=form.cleaned_data["seconds"],
                models=form.named(),
            )
        except DomainError as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, "The answer cache is changed. It holds from the next request on.")
            return redirect("governance:answer-cache")
    return render(
        request,
        "governance/answer_cache.html",
        {
            "form": form,
            "may_write": may_write,
            "is_offered": bool(longest),
            "percent": ai_usage.cached_answer_percent(selectors.entitlements()),
        },
        status=400 if form.is_bound else 200,
    )
