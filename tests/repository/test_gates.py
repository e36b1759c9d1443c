"""What a plan sells and what is built are one: each view and task says which feature it belongs to."""

import re
from collections.abc import Mapping

import pytest

from apps.governance.features import FEATURES
from apps.governance.gates import EveryPlan
from apps.identity.access import ACCESS, GATES
from apps.identity.roles import SCOPES
from tests.repository.source import ROOT, modules
from tests.repository.test_views import METHODS, OPEN, ROUTES
from tests.repository.test_work import TASKS, app

# Sold by plans, and not opened by a view, a task or a line that asks for it by name yet.
AWAITED = {
    "batches",
    "budgets",
    "response_cache",
    "sso",
}

HOW = """
    {what} does not say to which plans it belongs. Declare one of these:

      feature="prompts"                  the plan's feature that opens it: a boolean of apps/governance/features.py
                                         (add a line there for a new one; `default=True` gives it to plans that are
                                         silent)
      feature=EveryPlan("because …")     no plan leaves it out, and why   (from apps.governance.gates import EveryPlan)
      feature={{"GET": EveryPlan("because …"), "POST": "prompts"}}         where methods differ

    {where}
"""
IN_REST = "It is a class attribute beside `scopes` of the TenantAPIView."
IN_PORTAL = "It is an argument of `@portal_view(scopes=…, feature=…)`."
IN_WORK = (
    'Use `@gated_task("area.name", feature=…)` of apps.governance.gates in place of `@shared_task`; apps below '
    'governance say `@platform_task("area.name", every_plan="because …")` of apps.jobs.platform.'
)


def _wrong(gate):
    """What is wrong with one declaration; empty where nothing is."""
    if isinstance(gate, EveryPlan):
        return "" if len(gate.because.split()) >= 3 else f"{gate} gives no reason"
    feature = FEATURES.get(gate)
    if feature is None:
        return f"{gate!r} is not in apps/governance/features.py"
    return "" if feature.kind == "boolean" else f"{gate!r} is a {feature.kind}, and opens nothing"


def _declared(view, view_class):
    return getattr(view_class, "feature", None) if view_class else getattr(view, GATES, None)


def _gates(declared):
    return list(declared.values()) if isinstance(declared, Mapping) else [declared]


def _views():
    for parameter in ROUTES:
        pattern = parameter.values[0]
        view = pattern.callback
        view_class = getattr(view, "cls", None) or getattr(view, "view_class", None)
        # Whoever enters without being known has no plan; why that is right is said with the view (`open_view`)
        # or in OPEN.
        if pattern.name in OPEN or isinstance(getattr(view, ACCESS, None), str):
            continue
        yield pytest.param(pattern.name, view, view_class, id=parameter.id)


@pytest.mark.parametrize(("name", "view", "view_class"), list(_views()))
def test_a_view_says_to_which_plans_it_belongs(name, view, view_class):
    declared = _declared(view, view_class)

    where = IN_REST if view_class else IN_PORTAL
    assert declared is not None, HOW.format(what=f"The view {name}", where=where)
    assert [wrong for wrong in map(_wrong, _gates(declared)) if wrong] == []
    if isinstance(declared, Mapping):
        access = getattr(view, ACCESS, None)
        answered = {m.upper() for m in METHODS if hasattr(view_class, m)} if view_class else set(access)
        assert set(declared) == answered, f"{name} answers {answered} and declares {set(declared)}"


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_says_to_which_plans_it_belongs(name):
    task = app.tasks[name]
    gate = getattr(task, "gate", None)

    if gate is None:
        because = getattr(task, "every_plan", "")
        assert because, HOW.format(what=f"The task {name}", where=IN_WORK)
        gate = EveryPlan(because)
    assert _wrong(gate) == ""


def test_what_is_sold_is_there():
    """A feature that opens nothing would be sold for nothing."""
    declared = {
        gate
        for parameter in _views()
        for gate in _gates(_declared(*parameter.values[1:]))
        if isinstance(gate, str)
    }
    declared |= {gate for name in TASKS if isinstance(gate := getattr(app.tasks[name], "gate", None), str)}
    asked = "".join(path.read_text() for path in modules("apps") if path.name != "features.py")

    for name, feature in FEATURES.items():
        assert name in AWAITED or name in declared or f'"{name}"' in asked, f"nothing asks for {feature.path}"


def test_templates_ask_for_features_that_exist():
    asked = {
        name
        for path in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r'{% included "([^"]+)"', path.read_text())
    }

    assert asked <= set(FEATURES)


def test_the_scopes_of_features_exist():
    named = {scope for feature in FEATURES.values() for scope in feature.scopes}

    assert named <= set(SCOPES)
