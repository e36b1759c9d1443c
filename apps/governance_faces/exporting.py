"""The audit log as a file, for the portal and the API alike."""

from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone

from apps.governance import selectors, services
from apps.governance.selectors import AuditSearch
from apps.governance.types import Actor
from apps.governance_faces.streaming import streamed
from apps.tenancy.selectors import current_tenant

FORMS = ("csv", "jsonl")
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}


def export(request: Any, wanted: AuditSearch, form: str, *, actor: Actor) -> StreamingHttpResponse:
    """Entries as CSV or lines of JSON, newest first. The export is an entry itself."""
    tenant = current_tenant()
    through = services.begin_export(wanted, form=form, actor=actor)
    pieces = selectors.exported(wanted, through=through)
    lines = selectors.as_csv(pieces) if form == "csv" else selectors.as_jsonl(pieces)
    filename = f"audit-{tenant.slug}-{timezone.now():%Y%m%d-%H%M%S}.{form}"
    return streamed(request, tenant, lines, content_type=_TYPES[form], filename=filename)
