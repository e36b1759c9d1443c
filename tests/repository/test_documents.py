"""What the documents promise is what the code does: settings, error codes, metrics, links, decisions."""

import ast
import inspect
import re

import pytest
from prometheus_client import REGISTRY

from apps import errors as shared
from apps.ai_usage import metrics as gateway_metrics
from apps.ai_usage.gateway.errors import Kind
from apps.governance.admission.types import RefusedBecause
from apps.keys import metrics as key_metrics
from config import problems
from deploy.local import settings as local
from tests.repository.source import ROOT, called_name, name_of, nodes, text_of, tracked_files

ROW = re.compile(r"^\| `([^`]+)`", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
ENV_READERS = {"text", "optional", "number", "flag", "listing"}
# config/env.py reads these itself, by name.
DIRECT = {"LOCKSTEP_HOME", "DJANGO_SETTINGS_MODULE"}
LOCAL_ONLY = re.compile(r'environment\.get\("([A-Z_]+)"|_number\(environment, "([A-Z_]+)"')


def _named(document: str) -> set[str]:
    return set(ROW.findall((ROOT / "docs" / document).read_text(encoding="utf-8")))


def _variables() -> set[str]:
    read = {
        name
        for _, node in nodes("config")
        if isinstance(node, ast.Call) and called_name(node) in ENV_READERS and node.args
        if (name := text_of(node.args[0])) and name.isupper()
    }
    started = {one or other for one, other in LOCAL_ONLY.findall(inspect.getsource(local))}
    return read | started | DIRECT


def test_every_variable_of_the_environment_is_documented_and_no_other():
    assert _named("configuration.md") == _variables()


def _is_kind(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Kind"


def _codes() -> set[str]:
    found = {reason.value for reason in RefusedBecause} | set(problems.CODES.values())
    found |= {kind.value.openai_code for kind in Kind if kind.value.openai_code}
    for _, node in nodes("apps", "config"):
        if isinstance(node, ast.ClassDef):
            assigned = {
                target.id: text_of(statement.value)
                for statement in node.body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
            }
            if "status" in assigned and assigned.get("code"):
                found.add(assigned["code"] or "")
        elif (
            isinstance(node, ast.Call) and called_name(node) in {"Refusal", "problem"} and len(node.args) > 1
        ):
            found.add(text_of(node.args[1]) or "")
        elif isinstance(node, ast.Tuple) and len(node.elts) == 3 and _is_kind(node.elts[0]):
            found.add(text_of(node.elts[1]) or "")
    return {code for code in found if code} | {"server_error", "error", shared.DomainError.code}


def test_every_stable_error_code_is_documented_and_no_other():
    assert _named("errors.md") == _codes()


def _metrics() -> set[str]:
    counted = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in REGISTRY.collect()
        if metric.name.startswith("lockstep_")
    }
    source = "".join(inspect.getsource(module) for module in (gateway_metrics, key_metrics))
    return counted | set(re.findall(r'"(lockstep_[a-z_]+)"', source))


def test_every_metric_is_documented_and_no_other():
    document = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(lockstep_[a-z_]+)`", document))

    assert {name.removesuffix("_total") for name in told} == {
        name.removesuffix("_total") for name in _metrics()
    }


DOCUMENTS = [path for path in tracked_files() if path.suffix == ".md"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path):
    targets = [target for target in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in target]

    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_decisions_are_numbered_without_gaps_and_have_their_four_parts():
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))

    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}"), path.name
        for part in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"**{part}.**" in text, f"{path.name} lacks {part}"


def test_every_decision_that_the_code_names_exists():
    numbers = {path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")}
    named = {
        number
        for path in tracked_files()
        if path.suffix in {".py", ".toml", ".md", ".lua"}
        for number in re.findall(r"decisions/(\d{4})", path.read_text(encoding="utf-8"))
    }

    assert named <= numbers
