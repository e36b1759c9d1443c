"""`manage.py operator create`, as typed."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.identity.models import User
from tests.operator.conftest import EMAIL, browser, sign_in


def _typed(*words: str) -> str:
    out = io.StringIO()
    call_command("operator", *words, stdout=out)
    return out.getvalue()


def test_it_makes_an_operator_with_the_password_from_stdin(
    operator_plane: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the operators passphrase\n"))

    said = json.loads(_typed("create", "New@platform.example", "--password-stdin", "--json"))

    assert said["email"] == "new@platform.example" and said["password"] is None
    assert sign_in(browser(), "new@platform.example").status_code == 302


def test_it_makes_a_password_and_shows_it_once(operator_plane: None) -> None:
    said: dict[str, Any] = json.loads(_typed("create", "new@platform.example", "--name", "Nia", "--json"))

    assert User.objects.get().name == "Nia"
    assert sign_in(browser(), "new@platform.example", said["password"]).status_code == 302


def test_it_says_in_a_sentence_why_it_cannot(operator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match=f"^{EMAIL} is an operator already.$"):
        _typed("create", EMAIL)
    with pytest.raises(CommandError, match="is not an e-mail address"):
        _typed("create", "nobody")
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    with pytest.raises(CommandError, match="at least 12 characters"):
        _typed("create", "new@platform.example", "--password-stdin")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="no password on standard input"):
        _typed("create", "new@platform.example", "--password-stdin")
    assert User.objects.count() == 1
