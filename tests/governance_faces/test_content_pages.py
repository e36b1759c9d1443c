"""The pages of the data boundary and of prompts, and kept content on a call's page, as members see them."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.ai_usage.models import Call
from apps.governance.content.keys import current_key
from apps.governance.data_boundary.settings import own_boundary
from apps.governance.models import AuditEntry, CallContent
from apps.governance.prompts import workflow
from apps.identity.types import Member
from apps.tenancy.services import in_tenant
from tests.factories.keys import PASSWORD, make_member, new_address


def browser_of(member: Member) -> Client:
    client = Client(HTTP_HOST="acme.localhost", REMOTE_ADDR=new_address())
    assert client.post("/accounts/login/", {"login": member.email, "password": PASSWORD}).status_code == 302
    return client


@pytest.fixture
def here(acme: Any) -> Any:
    """acme, in force."""
    with in_tenant(acme):
        yield acme


def test_an_admin_sets_the_boundary_and_a_viewer_only_reads_it(here: Any) -> None:
    admin, viewer = browser_of(make_member("admin")), browser_of(make_member("viewer"))
    form = {"request-email": "redact", "response-api_key": "block", "restore": "on", "on_failure": "allow"}

    saved = admin.post(
        "/governance/data-boundary/", form | {"phone_regions": "de, fr", "retention_days": "7"}
    )
    wrong = admin.post("/governance/data-boundary/", form | {"phone_regions": "XX"})
    refused = viewer.post("/governance/data-boundary/", form)

    assert (saved.status_code, wrong.status_code, refused.status_code) == (302, 400, 403)
    own = own_boundary().to_json()
    assert (own["request"], own["response"]) == ({"email": "redact"}, {"api_key": "block"})
    assert (own["phone_regions"], own["retention_days"], own["on_failure"]) == (["DE", "FR"], 7, "allow")
    shown = viewer.get("/governance/data-boundary/").content.decode()
    assert '<option value="redact" selected>' in shown
    assert "Save data boundary" not in shown


def test_the_box_shows_what_would_be_found_escaped_and_stores_nothing(here: Any) -> None:
    browser = browser_of(make_member("admin"))

    shown = browser.post(
        "/governance/data-boundary/try/", {"text": "<b>jane@example.com</b>"}
    ).content.decode()

    assert "<mark>jane@example.com</mark>" in shown
    assert "&lt;b&gt;" in shown and "<b>jane" not in shown
    assert own_boundary().version == 0


def test_two_people_take_a_prompt_from_draft_to_production(here: Any) -> None:
    ann, ben = (make_member("admin", email=f"{name}@example.com") for name in ("ann", "ben"))
    first, second = browser_of(ann), browser_of(ben)

    made = first.post(
        "/governance/prompts/",
        {"slug": "greeting", "name": "Greeting", "user": "Greet {{name}}.", "variables": '{"name": {}}'},
    )
    prompt = workflow.prompt_of("greeting")
    page = f"/governance/prompts/{prompt.pk}/"
    first.post(f"{page}versions/1/submit/")
    first.post(f"{page}versions/1/approve/")
    assert workflow.version_of(prompt, 1).state == "in_review"
    second.post(f"{page}versions/1/approve/")
    second.post(f"{page}label/", {"label": "production", "version": "1"})
    first.post(page, {"user": "Hello <i>{{name}}</i>", "variables": '{"name": {}}', "note": "warmer"})

    assert made.status_code == 302
    shown = first.get(f"{page}?older=1&newer=2").content.decode()
    assert "+Hello &lt;i&gt;{{name}}&lt;/i&gt;" in shown
    assert "production" in shown and "lockstep_prompt" in shown
    assert workflow.prompt_of("greeting").labels == {"production": 1}
    assert "Greeting" in second.get("/governance/prompts/").content.decode()


def test_a_mistake_in_a_prompt_is_said_and_other_prompts_are_not_found(here: Any) -> None:
    browser = browser_of(make_member("developer"))

    wrong = browser.post("/governance/prompts/", {"slug": "x", "name": "X", "user": "{{y}}", "variables": ""})
    nonsense = browser.post("/governance/prompts/", {"slug": "x", "name": "X", "user": "y", "variables": "{"})

    assert wrong.status_code == nonsense.status_code == 400
    assert "described in `variables`" in wrong.content.decode()
    assert browser.get(f"/governance/prompts/{uuid4()}/").status_code == 404
    assert browser.post(f"/governance/prompts/{uuid4()}/versions/1/approve/").status_code == 403


def test_kept_content_is_read_by_few_and_every_time_on_record(here: Any) -> None:
    call_id, now = uuid7(), timezone.now()
    Call.objects.create(
        id=call_id, started_at=now, owner_kind="member", endpoint="chat.completions", model="gpt-4o-mini",
        status=200, outcome="ok", duration_ms=5,
    )  # fmt: skip
    key = current_key()
    CallContent.objects.create(
        call_id=call_id,
        key_number=key.number,
        ciphertext=key.encrypt(call_id, b'{"request": "<what was asked>", "answer": "a", "cut": false}'),
        expires_at=now + timedelta(days=1),
    )
    admin, developer = browser_of(make_member("admin")), browser_of(make_member("developer"))

    page = admin.get(f"/calls/{call_id}/").content.decode()
    read = admin.post(f"/calls/{call_id}/content/")
    refused = developer.post(f"/calls/{call_id}/content/")

    assert "recorded in the audit log" in page and "what was asked" not in page
    assert "&lt;what was asked&gt;" in read.content.decode()
    assert refused.status_code == 403
    assert "Read prompt and answer" not in developer.get(f"/calls/{call_id}/").content.decode()
    assert AuditEntry.objects.filter(action="content.read", target_id=str(call_id)).count() == 1
