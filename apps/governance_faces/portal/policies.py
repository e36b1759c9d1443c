"""Pages of policies: the list, one subject's policy with its versions, the form, and asking why."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.ai_usage import selectors as ai_usage
from apps.errors import DomainError
from apps.governance import selectors, services
from apps.governance.errors import PolicyNotFound
from apps.governance.gates import EveryPlan
from apps.governance.policies.records import PolicyMode, PolicyRecord
from apps.governance.policies.rules import Rule, Rules, describe_rules
from apps.governance_faces.asking import explain as explain_request
from apps.governance_faces.portal.forms import ExplainForm, PolicyForm, subject_choices
from apps.governance_faces.subjects import LEVEL_WORDS, name_of, names_of, whose
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_FEATURE = "policies"
_READ, _WRITE = "settings:read", "settings:write"
_TRIED = 1000
RULE_WORDS = {
    Rule.HOURS: "Hours",
    Rule.MODELS: "Models",
    Rule.PROMPTS: "Prompts",
    Rule.TOOLS: "Tools",
    Rule.MAX_OUTPUT: "Output",
    Rule.PROVIDERS: "Providers",
    Rule.REGIONS: "Regions",
    Rule.DATA_HANDLING: "Data handling",
}


@portal_view(scopes=_READ, feature=_FEATURE)
def policy_list(request: "PortalRequest") -> HttpResponse:
    """Whose policies stand, and the operator's bounds."""
    standing = [each for each in selectors.standing_policies() if each.enforced or each.shadow]
    names = names_of((each.level, each.subject_id) for each in standing)
    bounds = selectors.policy_bounds()
    return render(
        request,
        "governance/policies.html",
        {
            "policies": [
                {
                    "name": names.get(each.subject_id, "No longer there"),
                    "level": LEVEL_WORDS[each.level],
                    "url": _url("policy", each.level, each.subject_id),
                    "rules": _phrases((each.enforced or each.newest).rules),
                    "state": "active" if each.enforced else "shadow",
                    "has_shadow": each.enforced is not None and each.shadow is not None,
                    "version": each.newest.number,
                    "changed_at": each.newest.created_at,
                    "author": each.newest.author_name,
                }
                for each in standing
            ],
            "bounds": _phrases(bounds.rules) if bounds else [],
            "bounds_version": bounds.number if bounds else None,
            "urls": {
                "new": reverse("governance:policy-new"),
                "explain": reverse("governance:policy-explain"),
            },
            "may_write": _WRITE in request.member.scopes,
        },
    )


@portal_view(scopes=_WRITE, feature=_FEATURE)
def policy_new(request: "PortalRequest") -> HttpResponse:
    """Choose whose policy to make."""
    chosen = request.GET.get("subject", "")
    if chosen.count("/") == 1:
        level, subject = _subject(*chosen.split("/"))
        name_of(level, subject)
        return redirect(_url("policy-edit", level, subject))
    return render(
        request,
        "governance/policy_new.html",
        {"choices": subject_choices(), "urls": {"list": reverse("governance:policies")}},
    )


@portal_view(scopes=_READ, feature=_FEATURE)
def policy(request: "PortalRequest", level: str, subject: str) -> HttpResponse:
    """One subject's policy: what is in force, its shadow, and every version with what it changed."""
    level, subject_id = _subject(level, subject)
    name = name_of(level, subject_id)
    standing = selectors.standing_policy(level, subject_id)
    if standing is None:
        raise PolicyNotFound
    shadow = None
    if standing.shadow is not None:
        count = ai_usage.count_shadow_refusals(
            whose(level, subject_id), standing.shadow.number, standing.shadow.created_at
        )
        shadow = {
            "version": standing.shadow.number,
            "rules": _phrases(standing.shadow.rules),
            "looked_at": count.looked_at,
            "would_refuse": count.would_refuse,
            "refused_by": [
                (RULE_WORDS[Rule(rule)], number) for rule, number in count.refused_by.most_common()
            ],
        }
    versions = selectors.policy_versions(level, subject_id, limit=50)
    return render(
        request,
        "governance/policy.html",
        {
            "name": name,
            "level": LEVEL_WORDS[level],
            "enforced": standing.enforced and {
                "version": standing.enforced.number, "rules": _phrases(standing.enforced.rules)
            },
            "shadow": shadow,
            "newest": standing.newest.number,
            "versions": [_version(each, versions) for each in versions],
            "urls": {
                name: _url(f"policy-{name}", level, subject_id) for name in ("edit", "remove", "restore")
            } | {"list": reverse("governance:policies")},
            "may_write": _WRITE in request.member.scopes,
            "is_off": standing.newest.mode is PolicyMode.OFF,
        },
    )  # fmt: skip


@portal_view(scopes={"GET": _WRITE, "POST": _WRITE}, feature=_FEATURE)
def policy_edit(request: "PortalRequest", level: str, subject: str) -> HttpResponse:
    """The form of rules: save it, let it watch as a shadow, or try it on recent calls."""
    level, subject_id = _subject(level, subject)
    name = name_of(level, subject_id)
    standing = selectors.standing_policy(level, subject_id)
    begun = (standing.shadow or standing.enforced) if standing else None
    initial: dict[str, Any] = {"based_on": standing.newest.number if standing else 0}
    initial |= PolicyForm.initial_of(begun.rules if begun else Rules())
    form = PolicyForm(request.POST if request.method == "POST" else None, initial=initial)
    trial = None
    if request.method == "POST" and form.is_valid():
        rules, wanted = form.cleaned_data["rules"], request.POST.get("do", "save")
        if wanted == "try":
            trial = _trial(level, subject_id, rules)
        else:
            try:
                saved = services.save_policy(
                    level,
                    subject_id,
                    rules,
                    actor=request.actor,
                    mode=PolicyMode.SHADOW if wanted == "shadow" else PolicyMode.ENFORCED,
                    note=form.cleaned_data["note"],
                    based_on=form.cleaned_data["based_on"],
                )
            except DomainError as refused:
                form.show(refused)
            else:
                what = "watches" if saved.mode is PolicyMode.SHADOW else "holds"
                messages.success(request, f"Version {saved.number} {what} from the next request on.")
                return redirect(_url("policy", level, subject_id))
    bounds = selectors.policy_bounds()
    return render(
        request,
        "governance/policy_edit.html",
        {
            "name": name,
            "form": form,
            "fieldsets": form.fieldsets(),
            "trial": trial,
            "bounds": _phrases(bounds.rules) if bounds else [],
            "urls": {
                "back": _url("policy", level, subject_id) if standing else reverse("governance:policies")
            },
        },
        status=400 if form.is_bound and not form.is_valid() else 200,
    )


@portal_view(scopes={"POST": _WRITE}, feature=_FEATURE)
def policy_remove(request: "PortalRequest", level: str, subject: str) -> HttpResponse:
    """Take a policy away."""
    level, subject_id = _subject(level, subject)
    services.remove_policy(level, subject_id, actor=request.actor)
    messages.success(request, "The policy is taken away from the next request on. Its versions stay.")
    return redirect("governance:policies")


@portal_view(scopes={"POST": _WRITE}, feature=_FEATURE)
def policy_restore(request: "PortalRequest", level: str, subject: str) -> HttpResponse:
    """Roll back to an old version."""
    level, subject_id = _subject(level, subject)
    number = request.POST.get("version", "")
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise PolicyNotFound
    restored = services.restore_policy(level, subject_id, int(number), actor=request.actor)
    messages.success(request, f"Version {restored.number} has the rules of version {number} and holds now.")
    return redirect(_url("policy", level, subject_id))


@portal_view(scopes=_READ, feature=EveryPlan("whoever is refused may ask why"))
def policy_explain(request: "PortalRequest") -> HttpResponse:
    """Why would this be refused? A form, and the gateway's answer with every rule."""
    form = ExplainForm(request.GET if "model" in request.GET else None, initial=request.GET.dict())
    told = explain_request(form.asked()) if form.is_bound and form.is_valid() else None
    return render(
        request,
        "governance/policy_explain.html",
        {
            "form": form,
            "told": told,
            "rules": [_told_rule(rule) for rule in told.rules] if told else [],
            "has_keys": bool(form.fields["key"].choices),  # type: ignore[attr-defined]
            "urls": {"list": reverse("governance:policies"), "keys": reverse("keys:list")},
        },
    )


def _told_rule(rule: Any) -> dict[str, Any]:
    words = {"passed": "ok", "refused": "refused", "would_refuse": "shadow"}
    whose_rule = f"{rule.level.replace('_', ' ')}, version {rule.version}" if rule.level else ""
    said = rule.said
    return {
        "name": rule.rule.replace("_", " ").capitalize(),
        "policy": whose_rule,
        "answer": words[rule.answer],
        "label": {"passed": "Passed", "refused": "Refused", "would_refuse": "Would refuse"}[rule.answer],
        "said": said[:1].upper() + said[1:],
    }


def _trial(level: str, subject_id: UUID | None, rules: Rules) -> dict[str, Any]:
    trial = ai_usage.try_policy(rules, whose(level, subject_id), calls=_TRIED)
    return {
        "trial": trial,
        "refused_by": [(RULE_WORDS[Rule(rule)], count) for rule, count in trial.refused_by.most_common()],
        "not_judged": [(RULE_WORDS[Rule(rule)], count) for rule, count in trial.not_judged.most_common()],
        "examples": [
            {"url": f"/calls/{each.call_id}/", "at": each.at, "model": each.model, "said": each.said}
            for each in trial.examples
        ],
        "looser": services.looser_than_above(level, rules),
    }


def _version(record: PolicyRecord, among: list[PolicyRecord]) -> dict[str, Any]:
    before = next((each for each in among if each.number == record.number - 1), None)
    was = describe_rules(before.rules) if before else {}
    now = describe_rules(record.rules)
    changes = [
        {"rule": RULE_WORDS[rule], "was": was.get(rule, "—"), "now": now.get(rule, "—")}
        for rule in Rule
        if was.get(rule) != now.get(rule)
    ]
    return {
        "number": record.number,
        "mode": {"enforced": "active", "shadow": "shadow", "off": "removed"}[record.mode.value],
        "author": record.author_name,
        "at": record.created_at,
        "note": record.note,
        "restored_from": record.restored_from,
        "changes": changes,
    }


def _phrases(rules: Rules) -> list[dict[str, str]]:
    return [{"term": RULE_WORDS[rule], "value": text} for rule, text in describe_rules(rules).items()]


def _subject(level: str, subject: str) -> tuple[str, UUID | None]:
    if level == "tenant" and subject == "self":
        return level, None
    try:
        return level, UUID(subject)
    except ValueError:
        raise PolicyNotFound from None


def _url(name: str, level: str, subject_id: UUID | None) -> str:
    return reverse(f"governance:{name}", args=[level, str(subject_id) if subject_id else "self"])
