"""The site: operators only, our pages only, every change written down."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite

from apps.operator_site.types import Column, Hung, Panel, RowAction, RowPage

Recorder = Callable[..., None]


class OperatorSite(UnfoldAdminSite):
    """The admin of the operator plane.

    It knows no app: what it writes its audit entries with, how an operator signs in and what stands on its
    pages is given to it by the apps, each in its `admin.py`. So a lower app's page can show what a higher app
    knows.
    """

    index_template = "operator/home.html"
    index_title = "Overview"

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self._panels: list[Panel] = []
        self._hung: defaultdict[str, Hung] = defaultdict(Hung)
        self._recorder: Recorder | None = None

    def records_with(self, recorder: Recorder) -> None:
        """Name the function that writes an entry of the operators' audit log."""
        self._recorder = recorder

    def record(
        self,
        request: Any,
        action: str,
        *,
        target_kind: str = "",
        target_id: object = "",
        details: dict[str, Any] | None = None,
    ) -> None:
        """Write down what the operator of this request did; without a recorder nothing may be done."""
        if self._recorder is None:
            raise ImproperlyConfigured(
                "Nobody writes the operators' audit log; see OperatorSite.records_with."
            )
        self._recorder(
            action, actor=request.actor, target_kind=target_kind, target_id=target_id, details=details or {}
        )

    def hang(
        self,
        into: str,
        *,
        actions: Iterable[RowAction] = (),
        pages: Iterable[RowPage] = (),
        columns: Iterable[Column] = (),
        after_change: Iterable[Callable[[HttpRequest, Any], None]] = (),
    ) -> None:
        """Add buttons, pages, columns and consequences to a model's pages; named as in `tenancy.tenant`."""
        hung = self._hung[into]
        hung.actions.extend(actions)
        hung.pages.extend(pages)
        hung.columns.extend(columns)
        hung.after_change.extend(after_change)

    def hung_into(self, model: type[Model]) -> Hung:
        """What apps added to the pages of a model."""
        return self._hung[model._meta.label_lower]

    def show_on_home(self, *panels: Panel) -> None:
        """Add parts to the first page."""
        self._panels.extend(panels)
        self._panels.sort(key=lambda panel: panel.place)

    def register(self, model_or_iterable: Any, admin_class: type[Any] | None = None, **options: Any) -> None:
        """Take our own pages; leave those that packages bring, which write no audit entry, where they are."""
        from apps.operator_site.pages import OperatorPage

        if admin_class is None or not admin_class.__module__.startswith("apps."):
            return
        if not issubclass(admin_class, OperatorPage):
            # Forgetting the base is safe: no page's changes go unseen.
            admin_class = type(
                admin_class.__name__, (admin_class, OperatorPage), {"__module__": admin_class.__module__}
            )
        super().register(model_or_iterable, admin_class, **options)

    def unregister(self, model_or_iterable: Any) -> None:
        """Packages unregister each other's pages, which never were here."""
        models = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        super().unregister([model for model in models if self.is_registered(model)])

    def has_permission(self, request: HttpRequest) -> bool:
        """Operators, in the control plane."""
        return settings.LOCKSTEP_PLANE == "control" and super().has_permission(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The first page: what each app thinks an operator should see at a glance."""
        panels = [render_to_string(panel.template, panel.context(request), request) for panel in self._panels]
        return super().index(request, {"panels": panels, **(extra_context or {})})


site = OperatorSite()
