"""What the gateway can say has words on the portal's pages."""

import ast

import pytest

from apps.ai_usage.portal.words import reason
from apps.governance.admission.types import RefusedBecause
from tests.repository.source import called_name, name_of, nodes, text_of


def _is_kind(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Kind"


def _codes() -> set[str]:
    found = {because.value for because in RefusedBecause}
    for path, node in nodes("apps"):
        if not name_of(path).startswith("apps/ai_usage/"):
            continue
        if isinstance(node, ast.Call) and called_name(node) == "Refusal" and len(node.args) > 1:
            found.add(text_of(node.args[1]) or "")
        elif isinstance(node, ast.Tuple) and len(node.elts) == 3 and _is_kind(node.elts[0]):
            found.add(text_of(node.elts[1]) or "")
    return found - {""}


@pytest.mark.parametrize("code", sorted(_codes()))
def test_every_code_that_the_gateway_can_say_has_words(code: str) -> None:
    assert reason(code) != f"The call ended with {code}."
