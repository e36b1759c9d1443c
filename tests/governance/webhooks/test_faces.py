"""Webhook endpoints in the API and in the portal."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.governance import selectors, services
from apps.governance.models import AuditEntry, WebhookDelivery, WebhookEndpoint
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import PASSWORD, make_key, make_member, new_address

SYSTEM = Actor.system("tests")
URL = "http://localhost:9/hook"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


@pytest.fixture
def tenant(local, acme):
    with in_tenant(acme):
        yield acme


@pytest.fixture
def api(tenant):
    return api_with("webhooks:read", "webhooks:write")


def api_with(*scopes):
    return Api(make_key(name="hooks", scopes=list(scopes)).secret)


def browser(role="owner"):
    member = make_member(role)
    client = Client(HTTP_HOST="acme.localhost", REMOTE_ADDR=new_address(), raise_request_exception=False)
    assert client.post("/accounts/login/", {"login": member.email, "password": PASSWORD}).status_code == 302
    return client


def made(api, **more: Any) -> dict[str, Any]:
    answer = api.post("/webhooks", {"url": URL, "events": ["key.*"], **more})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_an_endpoint_is_made_read_changed_and_deleted(api):
    new = made(api, description="ops")
    one = f"/webhooks/{new['endpoint']['id']}"
    assert SECRET.fullmatch(new["secret"])
    assert new["secret"] not in api.get(one).content.decode()
    assert [each["url"] for each in api.get("/webhooks").json()["data"]] == [URL]

    changed = api.patch(one, {"events": ["invoice.paid", "audit.entry"]}).json()
    assert changed["events"] == ["audit.entry", "invoice.paid"]
    assert changed["audit_after"] == AuditEntry.objects.latest("sequence").sequence
    assert api.send("DELETE", one).status_code == 204
    assert api.get(one).json()["code"] == "webhook_not_found"
    actions = list(
        AuditEntry.objects.filter(target_kind="webhook").values_list("action", flat=True).order_by("sequence")
    )
    assert actions == ["webhook.created", "webhook.changed", "webhook.deleted"]
    assert "/hook" not in str(
        list(AuditEntry.objects.values_list("details", flat=True))
    )  # paths may be secret


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://hooks.example.com/", "events": ["*"]}, "webhook_address_refused"),
        ({"url": "https://169.254.169.254/", "events": ["*"]}, "webhook_address_refused"),
        ({"url": "https://[::ffff:10.0.0.1]/", "events": ["*"]}, "webhook_address_refused"),
        ({"url": URL, "events": ["key.eaten"]}, "invalid_webhook_settings"),
        ({"url": URL, "events": []}, "invalid_request"),
        ({"url": URL, "events": ["*"], "secret": "whsec_x"}, "invalid_request"),
        ({"url": URL, "events": ["*"], "description": "a\nb"}, "invalid_webhook_settings"),
        ({"url": 5, "events": "*"}, "invalid_request"),
        ({"url": "\ud800", "events": ["*"]}, "invalid_request"),
    ],
)
def test_what_cannot_be_an_endpoint_is_refused_and_not_made(api, body, code):
    answer = api.post("/webhooks", body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert WebhookEndpoint.objects.count() == 0


def test_at_most_twenty(api):
    for _ in range(20):
        services.create_webhook(actor=SYSTEM, url=URL, events=["*"])

    answer = api.post("/webhooks", {"url": URL, "events": ["*"]})

    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_limit_reached")


def test_the_same_word_makes_one_endpoint_and_gives_the_same_secret(api):
    first = api.post("/webhooks", {"url": URL, "events": ["*"]}, Idempotency_Key="once")
    again = api.post("/webhooks", {"url": URL, "events": ["*"]}, Idempotency_Key="once")

    assert first.json() == again.json()
    assert WebhookEndpoint.objects.count() == 1


def test_a_delivery_is_listed_filtered_and_sent_again(api):
    one = f"/webhooks/{made(api)['endpoint']['id']}"
    make_key(name="told")
    (delivery,) = api.get(f"{one}/deliveries").json()["data"]
    assert (delivery["state"], delivery["event_type"], delivery["payload"]["name"]) == (
        "waiting",
        "key.issued",
        "told",
    )
    assert api.get(f"{one}/deliveries?state=failed").json()["data"] == []
    WebhookDelivery.objects.update(state="failed", tries=11)

    sent = api.post(f"{one}/deliveries/{delivery['id']}/replay")
    assert (sent.status_code, sent.json()["state"], sent.json()["tries"]) == (202, "waiting", 0)
    WebhookDelivery.objects.update(state="failed", tries=11)
    assert api.post(f"{one}/replay", {"since": "2026-01-01T00:00:00Z"}).json() == {"deliveries": 1}
    for body in ({}, {"since": "2026-01-01T00:00:00Z", "audit_after": 1}, {"audit_after": -1}):
        assert api.post(f"{one}/replay", body).status_code == 400
    assert api.post(f"{one}/replay", {"audit_after": 0}).json()["code"] == "invalid_webhook_settings"


def test_a_secret_is_rotated_a_test_sent_and_an_endpoint_paused(api):
    new = made(api)
    one = f"/webhooks/{new['endpoint']['id']}"
    rotated = api.post(f"{one}/rotate-secret", {"overlap_seconds": 60})
    assert rotated.status_code == 201
    assert rotated.json()["secret"] != new["secret"]
    assert rotated.json()["endpoint"]["previous_secret_until"] is not None
    assert api.post(f"{one}/rotate-secret", {"overlap_seconds": 10**7}).status_code == 400

    assert api.post(f"{one}/test").json()["webhook_id"].startswith("evt_")
    assert api.post(f"{one}/disable").json()["disabled_because"] == "by_hand"
    assert api.post(f"{one}/test").json()["code"] == "webhook_disabled"
    assert WebhookDelivery.objects.get().state == "failed"
    assert api.post(f"{one}/enable").json()["state"] == "enabled"


def test_reading_needs_one_scope_and_writing_another(api):
    one = f"/webhooks/{made(api)['endpoint']['id']}"
    reader, other = api_with("webhooks:read"), api_with("settings:write", "audit:read")

    assert reader.get(one).status_code == 200
    assert reader.get(f"{one}/deliveries").status_code == 200
    verbs = ("enable", "disable", "rotate-secret", "test", "replay")
    writes = [
        ("POST", "/webhooks"),
        ("PATCH", one),
        ("DELETE", one),
        *(("POST", f"{one}/{verb}") for verb in verbs),
    ]
    for method, path in writes:
        assert reader.send(method, path, {}).status_code == 403, path
    assert other.get("/webhooks").status_code == 403


def test_another_tenants_endpoints_are_not_there(api, globex):
    one = made(api)["endpoint"]["id"]
    with in_tenant(globex):
        theirs = api_with("webhooks:read", "webhooks:write")

    assert theirs.get("/webhooks").json()["data"] == []
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/test"),
        ("POST", "/rotate-secret"),
        ("GET", "/deliveries"),
    ):
        assert theirs.send(method, f"/webhooks/{one}{path}", {}).status_code == 404
    assert WebhookEndpoint.objects.count() == 1


def test_the_pages_from_making_to_deleting(tenant):
    client = browser()
    assert "No endpoints yet" in client.get("/governance/webhooks/").content.decode()
    assert client.get("/governance/webhooks/create/").status_code == 200

    shown = client.post(
        "/governance/webhooks/create/", {"url": URL, "description": "ops", "events": ["key.*", "audit.entry"]}
    )
    assert shown["Cache-Control"] == "no-store"
    assert SECRET.search(shown.content.decode())
    (endpoint,) = selectors.webhook_endpoints()
    here = f"/governance/webhooks/{endpoint.id}/"
    for page in ("/governance/webhooks/", here, f"{here}edit/", f"{here}?state=failed"):
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert SECRET.search(answer.content.decode()) is None

    assert client.post(f"{here}test/").status_code == 302
    (delivery,) = selectors.webhook_deliveries(endpoint.id)
    assert client.get(f"{here}deliveries/{delivery.id}/").status_code == 200
    WebhookDelivery.objects.update(state="failed")
    assert client.post(f"{here}deliveries/{delivery.id}/replay/").status_code == 302
    assert selectors.webhook_delivery(endpoint.id, delivery.id).state == "waiting"
    assert client.post(f"{here}replay/", {"since": "2026-13-45"}).status_code == 302
    assert client.post(f"{here}replay/", {"since": "0001-01-01"}).status_code == 302
    assert SECRET.search(client.post(f"{here}rotate/", {"overlap_hours": "24"}).content.decode())
    assert client.post(f"{here}edit/", {"url": URL, "events": ["key.issued"]}).status_code == 302
    assert client.post(f"{here}disable/").status_code == 302
    assert "Nothing is sent to this endpoint" in client.get(here).content.decode()
    assert client.post(f"{here}enable/").status_code == 302
    assert client.post(f"{here}delete/").status_code == 302
    assert selectors.webhook_endpoints() == []


def test_a_refused_address_is_told_at_its_field(tenant):
    answer = browser().post("/governance/webhooks/create/", {"url": "https://10.0.0.1/", "events": ["*"]})

    assert answer.status_code == 400
    assert "10.0.0.1 is not an address on the public internet" in answer.content.decode()
    assert WebhookEndpoint.objects.count() == 0


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [("admin", 200, 200), ("developer", 200, 403), ("billing", 403, 403), ("viewer", 403, 403)],
)
def test_who_sees_and_who_changes(tenant, role, read, write):
    client = browser(role)

    assert client.get("/governance/webhooks/").status_code == read
    assert client.get("/governance/webhooks/create/").status_code == write
