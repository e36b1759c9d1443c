"""An export as a real server sends it: whole, and only this tenant's."""

import json

import requests

from apps.governance import services
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from tests.factories.keys import make_key, make_service_account
from tests.system import running_web


def test_an_export_over_the_wire_holds_every_entry_once(request, fresh_tenant):
    run = request.getfixturevalue("services")
    tenant = fresh_tenant()
    with in_tenant(tenant):
        secret = make_key(service_account_id=make_service_account().id, scopes=["audit:read"]).secret
        for number in range(1200):
            services.record_audit("key.changed", actor=Actor.system("tests"), target_id=number)
    with running_web(run) as web:
        answer = requests.get(
            f"{web.url}/api/v1/audit/export?form=jsonl&action=key.changed",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=30,
        )

        assert answer.status_code == 200
        assert [json.loads(line)["target"]["id"] for line in answer.text.splitlines()] == [
            str(number) for number in range(1199, -1, -1)
        ]
        assert "must consume synchronous iterators" not in web.log.read_text()
