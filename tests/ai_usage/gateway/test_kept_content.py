"""Kept content: only where wanted, after redaction, encrypted, read with a scope and on record, and destroyed."""

import json
import time
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from apps.governance.content import keys
from apps.governance.content.errors import ContentNotFound, ContentUnreadable
from apps.governance.content.reading import read_content
from apps.governance.models import AuditEntry, CallContent, ContentKey
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from tests.ai_usage.gateway.test_data_boundary import answering
from tests.factories.boundaries import set_boundary
from tests.planes import control_plane

__all__ = ["answering"]

MAY = {"scopes": ["inference:write", "calls:read", "content:read"]}
ME = Actor.system("tests")


def kept(caller: Any, answer: Any, status: int = 200) -> Any:
    """What the API gives of a call's content, once it is there."""
    until = time.monotonic() + 5
    while True:
        told = caller.get(f"/api/v1/calls/{answer.headers['x-lockstep-call-id']}/content")
        if told.status_code == status or time.monotonic() > until:
            return told
        time.sleep(0.05)


def test_nothing_is_kept_unless_it_is_wanted(new_caller):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "redact"})

    answer = caller.chat("hello")
    time.sleep(0.5)

    assert kept(caller, answer, 404).json()["code"] == "content_not_found"
    with in_tenant(caller.tenant):
        assert (CallContent.objects.count(), ContentKey.objects.count()) == (0, 0)


def test_what_is_kept_is_what_was_sent_after_redaction_and_each_reading_is_on_record(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "redact"}, restore=True, retention_days=7)

    answer = caller.chat("To jane@example.com", user=answering())

    assert "jane@example.com" in answer.text
    told = kept(caller, answer).json()
    assert "To [EMAIL_1]" in json.loads(told["request"])["messages"][0]["content"]
    assert json.loads(told["answer"])["choices"][0]["message"]["content"] == "To [EMAIL_1]"
    assert "jane" not in json.dumps(told)
    with in_tenant(caller.tenant):
        row = CallContent.objects.get()
        assert b"EMAIL" not in bytes(row.ciphertext) and b"messages" not in bytes(row.ciphertext)
        assert (row.expires_at - row.created_at).days == 7
        entry = AuditEntry.objects.get(action="content.read")
        assert (entry.actor_kind, entry.actor_id, entry.target_id) == (
            "key",
            str(caller.key_id),
            str(row.call_id),
        )


def test_a_stream_is_kept_as_it_was_shown(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact"}, retention_days=1)

    answer = caller.chat("x", stream=True, user=answering(text="Ask ann@example.com now"))

    told = kept(caller, answer).json()
    assert "[EMAIL_1]" in told["answer"] and "[DONE]" in told["answer"]
    assert "ann@" not in told["answer"]


def test_reading_takes_the_scope_and_the_tenant(new_caller):
    caller, other = new_caller({"scopes": ["inference:write", "calls:read"]}), new_caller(MAY)
    set_boundary(caller.tenant, retention_days=1)

    answer = caller.chat("hello")

    assert kept(caller, answer, 403).json()["code"] == "scope_missing"
    assert kept(other, answer, 404).status_code == 404
    with in_tenant(caller.tenant):
        assert AuditEntry.objects.filter(action="content.read").count() == 0


def test_a_rotated_key_encrypts_what_comes_and_the_old_one_still_reads_what_was(new_caller):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, retention_days=1)
    before = caller.chat("before")
    assert kept(caller, before).status_code == 200

    with in_tenant(caller.tenant):
        number = keys.rotate_key(actor=ME)
    after = caller.chat("after")

    assert kept(caller, after).status_code == kept(caller, before).status_code == 200
    with in_tenant(caller.tenant):
        assert number == 2
        assert set(CallContent.objects.values_list("key_number", flat=True)) == {1, 2}


def test_shredding_leaves_nothing_readable_and_calls_go_on(new_caller):
    caller = new_caller({"scopes": [*MAY["scopes"], "settings:write"]})
    set_boundary(caller.tenant, retention_days=1)
    old = caller.chat("old")
    assert kept(caller, old).status_code == 200

    shredded = caller.post("/api/v1/content/shred", {})
    new = caller.chat("new")

    assert shredded.json() == {"keys_destroyed": 1}
    assert kept(caller, old, 404).status_code == 404
    assert kept(caller, new).status_code == 200
    with in_tenant(caller.tenant):
        assert ContentKey.objects.get(pk=1).wrapped is None
        assert keys.forget_expired(timezone.now()) == 1


def test_expired_content_is_not_shown_and_then_deleted(new_caller):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, retention_days=1)
    answer = caller.chat("hello")
    assert kept(caller, answer).status_code == 200

    with in_tenant(caller.tenant):
        CallContent.objects.update(expires_at=timezone.now())
        with pytest.raises(ContentNotFound):
            read_content(CallContent.objects.get().call_id, actor=ME)
        assert keys.forget_expired(timezone.now()) == 1


def test_the_master_key_rotates_by_command_and_an_unknown_one_opens_nothing(new_caller, monkeypatch):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, retention_days=1)
    answer = caller.chat("hello")
    assert kept(caller, answer).status_code == 200
    old, new = settings.CREDENTIAL_KEY, "c" * 43 + "="

    with in_tenant(caller.tenant):
        call_id = CallContent.objects.get().call_id
    monkeypatch.setattr(settings, "CREDENTIAL_KEY", f"{new},{old}")
    with control_plane():
        call_command("content", "rewrap", verbosity=0)
    monkeypatch.setattr(settings, "CREDENTIAL_KEY", new)
    with in_tenant(caller.tenant):
        assert "hello" in read_content(call_id, actor=ME).request
        monkeypatch.setattr(settings, "CREDENTIAL_KEY", "d" * 43 + "=")
        with pytest.raises(ContentUnreadable):
            read_content(call_id, actor=ME)
    monkeypatch.setattr(settings, "CREDENTIAL_KEY", f"{old},{new}")
    with control_plane():
        call_command("content", "rewrap", verbosity=0)


def test_a_plan_bounds_the_days(new_caller):
    from apps.governance.data_boundary.errors import BoundaryLooser

    caller = new_caller(MAY, content_retention_days=3)

    with pytest.raises(BoundaryLooser, match="3 days"):
        set_boundary(caller.tenant, retention_days=4)
    assert set_boundary(caller.tenant, retention_days=3).retention_days == 3
