"""The base of every page of the operator admin: what changes is written down, what must not change cannot."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from apps.errors import DomainError
from apps.operator_site.site import OperatorSite
from apps.operator_site.types import Column, RowAction, RowPage


class _FilledChangeList(ChangeList):
    """A list whose hung-in columns are filled for the whole page at once, not row by row."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        self.result_list = rows
        keys = [row.pk for row in rows]
        for number, column in enumerate(self.model_admin.hung_columns()):
            values = column.values(keys)
            for row in rows:
                setattr(row, f"_hung_{number}", values.get(row.pk, "–"))


class OperatorPage(ModelAdmin):
    """Pages of one model. An app sets what may be done and which fields are secret; the rest is here."""

    admin_site: OperatorSite
    actions = None
    list_per_page = 50
    change_form_outer_before_template = "operator/row_bar.html"

    may_add = True
    may_change = True
    may_delete = True
    # Values of these are never written down, only that they changed.
    secret_fields: frozenset[str] = frozenset()
    row_actions: Sequence[RowAction] = ()
    row_pages: Sequence[RowPage] = ()

    def after_change(self, request: HttpRequest, row: Any) -> None:
        """What else a change must bring about, in its transaction. Runs after save and before delete."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_add and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_change and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_delete and bool(super().has_delete_permission(request, obj))

    def kind(self, row: Any = None) -> str:
        """What a row is called in the audit log."""
        return str(self.model._meta.model_name)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = self.model._default_manager.filter(pk=obj.pk).first() if change else None
        super().save_model(request, obj, form, change)
        changes = {name: self._change(name, before, obj) for name in form.changed_data if hasattr(obj, name)}
        self._record(request, "changed" if change else "created", obj, {"changes": changes})
        self._follow_up(request, obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._record(request, "deleted", obj, {"was": str(obj)})
        self._follow_up(request, obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save()
        lines = [
            *({"added": str(row)} for row in formset.new_objects),
            *({"changed": str(row), "fields": list(names)} for row, names in formset.changed_objects),
            *({"removed": str(row)} for row in formset.deleted_objects),
        ]
        if lines:
            name = formset.model._meta.model_name
            self._record(request, f"{name}s_changed", form.instance, {"lines": lines})
            self._follow_up(request, form.instance)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = list(super().get_list_display(request))
        return shown + [_reader(number, column) for number, column in enumerate(self.hung_columns())]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return _FilledChangeList

    def hung_columns(self) -> list[Column]:
        """The columns that other apps added to this list."""
        return self.admin_site.hung_into(self.model).columns

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(
                "<path:object_id>/do/<slug:action>/",
                self.admin_site.admin_view(self.row_action_view),
                name=f"{name}_do",
            ),
            path(
                "<path:object_id>/show/<slug:page>/",
                self.admin_site.admin_view(self.row_page_view),
                name=f"{name}_show",
            ),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        bar = self._bar(row) if row is not None else {}
        return super().changeform_view(request, object_id, form_url, bar | (extra_context or {}))

    def row_action_view(self, request: HttpRequest, object_id: str, action: str) -> HttpResponse:
        """The form of a row's action, and doing it."""
        row = self._row(request, object_id)
        chosen = next((each for each in self._actions(row) if each.name == action), None)
        if chosen is None:
            raise Http404
        form = chosen.form(request.POST if request.method == "POST" else None, row=row)
        if request.method == "POST" and form.is_valid():
            try:
                with transaction.atomic():
                    said = chosen.run(request, row, form.cleaned_data)
            except DomainError as refused:
                form.add_error(None, refused.message)
            else:
                messages.success(request, said)
                return HttpResponseRedirect(self._url("change", row))
        return self._page(
            request, row, "operator/row_action.html", chosen.label, {"action": chosen, "form": form}
        )

    def row_page_view(self, request: HttpRequest, object_id: str, page: str) -> HttpResponse:
        """A further page about a row."""
        row = self._row(request, object_id)
        chosen = next((each for each in self._pages(row) if each.name == page), None)
        if chosen is None:
            raise Http404
        return self._page(request, row, chosen.template, chosen.label, chosen.context(request, row))

    def _follow_up(self, request: HttpRequest, row: Any) -> None:
        self.after_change(request, row)
        for follow in self.admin_site.hung_into(self.model).after_change:
            follow(request, row)

    def _page(
        self, request: HttpRequest, row: Any, template: str, title: str, context: dict[str, Any]
    ) -> HttpResponse:
        shell = {
            **self.admin_site.each_context(request),
            **self._bar(row),
            "title": title,
            "subtitle": str(row),
            "opts": self.opts,
            "row": row,
            "row_url": self._url("change", row),
        }
        return TemplateResponse(request, template, shell | context)

    def _row(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def _actions(self, row: Any) -> list[RowAction]:
        every = [*self.row_actions, *self.admin_site.hung_into(self.model).actions]
        return [action for action in every if action.applies(row)]

    def _pages(self, row: Any) -> list[RowPage]:
        every = [*self.row_pages, *self.admin_site.hung_into(self.model).pages]
        return [page for page in every if page.applies(row)]

    def _bar(self, row: Any) -> dict[str, Any]:
        return {
            "row_actions": [
                {
                    "label": action.label,
                    "url": self._url("do", row, action.name),
                    "is_dangerous": action.is_dangerous,
                }
                for action in self._actions(row)
            ],
            "row_pages": [
                {"label": page.label, "url": self._url("show", row, page.name)} for page in self._pages(row)
            ],
        }

    def _url(self, what: str, row: Any, *more: str) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{what}"
        return reverse(name, args=[row.pk, *more])

    def _record(self, request: HttpRequest, verb: str, row: Model, details: dict[str, Any]) -> None:
        self.admin_site.record(
            request, f"{self.kind(row)}.{verb}", target_kind=self.kind(row), target_id=row.pk, details=details
        )

    def _change(self, name: str, before: Any, after: Any) -> Any:
        if name in self.secret_fields:
            return "not shown"
        new = str(getattr(after, name))
        return [str(getattr(before, name)), new] if before is not None else new


def _reader(number: int, column: Column) -> Callable[[Any], Any]:
    def read(row: Any) -> Any:
        return getattr(row, f"_hung_{number}", "–")

    read.short_description = column.label  # type: ignore[attr-defined]
    read.__name__ = f"hung_{number}"
    return read
