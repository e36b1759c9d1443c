"""What an app hangs into a page of the operator admin, its own or another app's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

from apps.operator_site.forms import ReasonForm, RowForm


def _always(row: Any) -> bool:
    return True


@dataclass(frozen=True)
class RowAction:
    """A button on a row's page that leads to a form and then does one thing.

    `run` gets the request, the row and the form's answers, and returns the sentence that tells what happened.
    It runs in a transaction. A service that writes its own audit entry is enough; otherwise `run` calls
    `site.record`.
    """

    name: str  # in the address: lower case, with hyphens
    label: str
    run: Callable[[HttpRequest, Any, dict[str, Any]], str]
    explanation: str = ""
    form: type[RowForm] = ReasonForm
    applies: Callable[[Any], bool] = _always
    is_dangerous: bool = False


@dataclass(frozen=True)
class RowPage:
    """A further page about a row, drawn by `template` from what `context` returns."""

    name: str
    label: str
    template: str
    context: Callable[[HttpRequest, Any], dict[str, Any]]
    applies: Callable[[Any], bool] = _always


@dataclass(frozen=True)
class Column:
    """A column in a list, filled for a whole page at once: `values` maps primary keys to what is shown."""

    label: str
    values: Callable[[Sequence[Any]], dict[Any, Any]]


@dataclass(frozen=True)
class Panel:
    """A part of the first page, drawn by `template` from `context`; a lower `place` comes first."""

    template: str
    context: Callable[[HttpRequest], dict[str, Any]]
    place: int = 50


@dataclass
class Hung:
    """What is hung into the pages of one model."""

    actions: list[RowAction] = field(default_factory=list)
    pages: list[RowPage] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    # Called with the request and the row in the transaction of each change, after the page's own
    # `after_change`.
    after_change: list[Callable[[HttpRequest, Any], None]] = field(default_factory=list)
