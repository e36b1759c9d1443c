"""Prompts and the data boundary over the REST API: rights, transitions, and what is refused."""

import pytest

from apps.governance.models import AuditEntry
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import as_member, make_key, make_member
from tests.factories.prompts import GREETING


@pytest.fixture
def people(acme):
    """Clients with keys of two admins, a second key of the first, and one of a service account."""
    scopes = ["prompts:read", "prompts:write", "prompts:approve", "settings:read", "settings:write"]
    with in_tenant(acme):
        ann, ben = (make_member("admin", email=f"{name}@example.com") for name in ("ann", "ben"))
        made = {
            "ann": make_key(as_member(ann), member_id=ann.id, scopes=scopes),
            "ann2": make_key(as_member(ann), member_id=ann.id, scopes=scopes, name="second"),
            "ben": make_key(as_member(ben), member_id=ben.id, scopes=scopes),
            "robot": make_key(scopes=scopes),
            "reader": make_key(scopes=["prompts:read", "settings:read"], name="reader"),
        }
        yield {name: Api(issued.secret) for name, issued in made.items()}


def test_a_prompt_from_its_first_draft_to_a_label(people):
    ann, ben = people["ann"], people["ben"]

    made = ann.post("/prompts", {"slug": "greeting", "name": "Greeting", "content": GREETING})
    path = f"/prompts/{made.json()['id']}"
    submitted = ann.post(f"{path}/versions/1/submit")
    own = [people[name].post(f"{path}/versions/1/approve") for name in ("ann", "ann2", "robot")]
    approved = ben.post(f"{path}/versions/1/approve")
    labelled = ben.put(f"{path}/labels/production", {"version": 1})
    rendered = ann.post(f"{path}/render", {"version": 1, "variables": {"name": "Jo"}})
    missing = ann.post(f"{path}/render", {"version": 1})

    assert (made.status_code, submitted.json()["state"]) == (201, "in_review")
    assert [(each.status_code, each.json()["code"]) for each in own] == [(403, "prompt_review_refused")] * 3
    assert (approved.json()["state"], labelled.json()["labels"]) == ("approved", {"production": 1})
    assert rendered.json()["messages"][-1] == {"role": "user", "content": "Greet Jo."}
    assert (missing.status_code, missing.json()["code"]) == (400, "invalid_prompt_variables")
    assert ann.post(f"{path}/versions", {"content": {"messages": []}}).json()["code"] == "invalid_prompt"
    assert ann.get(f"{path}/versions/9").status_code == 404
    assert ann.get("/prompts").json()["data"][0]["versions"][0]["number"] == 1


def test_versions_are_compared(people):
    ann = people["ann"]
    made = ann.post("/prompts", {"slug": "greeting", "name": "Greeting", "content": GREETING}).json()
    ann.post(
        f"/prompts/{made['id']}/versions", {"content": {"messages": [{"role": "user", "content": "Hi"}]}}
    )

    lines = ann.get(f"/prompts/{made['id']}/diff/1/2").json()["lines"]

    assert "+Hi" in lines and "-Greet {{ name }}." in lines


def test_who_may_only_read_changes_nothing(people):
    reader = people["reader"]

    refused = [
        reader.post("/prompts", {"slug": "x", "name": "x", "content": GREETING}),
        reader.put("/data-boundary", {"request": {"email": "block"}}),
        reader.post("/content/shred"),
    ]

    assert [each.status_code for each in refused] == [403, 403, 403]
    assert reader.get("/prompts").json() == {"data": []}


def test_the_data_boundary_is_set_shown_and_tried(people, acme):
    ann = people["ann"]
    assert ann.get("/data-boundary").json()["in_force"] is None

    put = ann.put("/data-boundary", {"request": {"email": "redact", "api_key": "block"}, "restore": True})
    tried = ann.post("/data-boundary/try", {"text": "a@example.com +1 415 555 2671"})

    assert put.status_code == 200
    assert put.json()["in_force"]["request"] == {"email": "redact", "api_key": "block"}
    assert put.json()["version"] == 1
    assert tried.json()["counts"] == {"email": 1, "phone": 1}
    assert AuditEntry.objects.filter(action="data_boundary.changed").count() == 1
    for wrong in (
        {"request": {"name": "block"}},
        {"request": {"email": "hide"}},
        {"request": []},
        {"on_failure": "shrug"},
        {"phone_regions": ["XX"]},
        {"retention_days": 0},
        {"unknown": 1},
    ):
        assert ann.put("/data-boundary", wrong).status_code == 400, wrong
