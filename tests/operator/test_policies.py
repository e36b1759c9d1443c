"""The operator's bounds on policies: of one tenant and of all, seen and written down."""

import pytest

from apps.governance.models import OperatorAuditEntry
from apps.governance.policies.rules import read_rules
from apps.governance.selectors import audit_log, default_policy_bounds, policy_bounds
from apps.tenancy.services import in_tenant
from tests.factories.policies import save
from tests.operator.conftest import browser, sign_in


@pytest.fixture
def desk(operator):
    client = browser()
    sign_in(client)
    return client


def test_bounds_of_a_tenant_are_set_shown_and_taken_away(desk, acme):
    at = f"/tenancy/tenant/{acme.id}/"

    refused = desk.post(f"{at}do/policy-bounds/", {"reason": "contract", "max_output_tokens": "0"})
    made = desk.post(
        f"{at}do/policy-bounds/",
        {"reason": "contract", "max_output_tokens": "500", "regions_allow": "eu\neu-*", "no_training": "on"},
    )

    assert (refused.status_code, made.status_code) == (200, 302)
    with in_tenant(acme):
        bounds = policy_bounds()
        assert bounds is not None and not bounds.is_default
        assert bounds.rules == read_rules(
            {
                "max_output_tokens": 500,
                "regions": {"allow": ["eu", "eu-*"]},
                "data_handling": {"no_training": True},
            }
        )
        save({"max_output_tokens": 100})
        (entry,) = audit_log(action="policy_bounds.set")
        assert (entry.actor_kind, entry.details["reason"], entry.details["before"]) == (
            "operator",
            "contract",
            None,
        )
    page = desk.get(f"{at}show/policies/").content.decode()
    assert "max_output_tokens: at most 500 tokens an answer" in page
    assert "max_output_tokens: at most 100 tokens an answer" in page
    assert "eu\neu-*" in desk.get(f"{at}do/policy-bounds/").content.decode()

    desk.post(f"{at}do/remove-policy-bounds/", {"reason": "over"})

    with in_tenant(acme):
        assert policy_bounds() is None
    assert desk.get(f"{at}do/remove-policy-bounds/").status_code == 404


def test_the_bounds_of_every_tenant_are_versions_that_nobody_edits(desk, acme, globex):
    at = "/governance/policydefaultbound/"

    assert desk.get(f"{at}add/").status_code == 200
    made = desk.post(f"{at}add/", {"reason": "all of you", "models_deny": "*-preview"})
    listed = desk.get(at).content.decode()

    assert made.status_code == 302
    assert "models: not *-preview" in listed and "all of you" in listed
    for tenant in (acme, globex):
        with in_tenant(tenant):
            bounds = policy_bounds()
            assert bounds is not None and bounds.is_default and bounds.number == 1
    assert OperatorAuditEntry.objects.filter(action="policy_bounds.default_set").count() == 1
    assert desk.post(f"{at}1/change/", {"reason": "other"}).status_code == 403
    assert desk.post(f"{at}1/delete/", {"post": "yes"}).status_code == 403

    desk.post(f"{at}add/", {"reason": "no more", "is_removed": "on"})

    assert default_policy_bounds() is None
