"""The events as they are documented, and who is told of which."""

import re
from types import SimpleNamespace

import pytest

from apps.governance.audit_actions import ACTIONS
from apps.governance.webhooks.events import CHOICES, FIELDS, EventType, is_pattern, wants
from apps.governance.webhooks.from_audit import _OF_ACTION
from tests.repository.source import ROOT

ROW = re.compile(r"^\| `([a-z_.]+)` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def test_every_event_and_its_members_are_documented_and_no_other():
    document = (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")

    told = {name: tuple(re.findall(r"`([a-z_]+)`", members)) for name, members in ROW.findall(document)}

    assert told == {event.value: FIELDS[event] for event in EventType}


@pytest.mark.parametrize(
    ("patterns", "event", "wanted"),
    [
        (["key.issued"], "key.issued", True),
        (["key.issued"], "key.revoked", False),
        (["key.*"], "key.revoked", True),
        (["key.*"], "budget.alert", False),
        (["*"], "invoice.paid", True),
        (["*"], "audit.head", True),
        (["*"], "audit.entry", False),
        (["audit.*"], "audit.entry", True),
        (["*", "audit.entry"], "audit.entry", True),
        (["*"], "webhook.test", False),
        ([], "key.issued", False),
    ],
)
def test_an_endpoint_is_told_of_what_it_subscribed_to(patterns, event, wanted):
    assert wants(patterns, EventType(event)) is wanted


def test_only_what_exists_can_be_subscribed_to():
    assert all(is_pattern(choice) for choice in CHOICES)
    assert [
        text
        for text in ("*", "key.*", "key", "key.", ".*", "keys.*", "key.gone", "", "webhook.test", "**")
        if is_pattern(text)
    ] == ["*", "key.*"]


def test_every_event_that_an_audit_entry_tells_has_its_members():
    assert set(_OF_ACTION) <= set(ACTIONS)
    for action, (event, payload) in _OF_ACTION.items():
        told = payload(SimpleNamespace(action=action, target_id="1", details={})) | {"actor": {}}
        assert set(FIELDS[event]) <= set(told), action
