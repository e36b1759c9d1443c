"""Pages of lists."""

from typing import Any
from uuid import uuid4

import pytest

from apps.keys import services
from apps.keys.rest import limits
from apps.keys.rest.errors import TooManyRequests
from apps.keys.types import IssuedKey
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import make_key, make_service_account


def test_pages_hold_every_row_once_while_rows_are_added_and_ended(tenant: Any, api: Api) -> None:
    names = [f"key {number}" for number in range(7)]
    made = [make_key(name=name).key for name in names]
    seen: list[str] = []

    page = api.get("/keys?limit=3").json()
    seen += [key["name"] for key in page["data"]]
    make_key(name="late")
    services.revoke_key(made[0].id, actor=services_actor())
    while page["next_cursor"]:
        page = api.get(f"/keys?limit=3&cursor={page['next_cursor']}").json()
        assert len(page["data"]) <= 3
        seen += [key["name"] for key in page["data"]]

    assert seen == [*reversed(names), "admin"]


def services_actor() -> Any:
    from apps.governance.types import Actor

    return Actor.system("tests")


def test_a_cursor_from_elsewhere_or_made_up_is_refused(
    tenant: Any, globex: Any, api: Api, admin_key: IssuedKey
) -> None:
    for number in range(3):
        make_key(name=str(number))
        make_service_account(str(number))
    with in_tenant(globex):
        theirs = make_key(scopes=["keys:read"])
        make_key(service_account_id=theirs.key.owner.id)
    cursor = api.get("/keys?limit=1").json()["next_cursor"]
    foreign = Api(theirs.secret).get("/keys?limit=1").json()["next_cursor"]

    assert api.get(f"/keys?cursor={cursor}").status_code == 200
    for path in (
        f"/service-accounts?cursor={cursor}",
        f"/audit?cursor={cursor}",
        f"/keys?only_living=true&cursor={cursor}",
        f"/keys?cursor={foreign}",
        f"/keys?cursor={cursor[:-1]}",
        "/keys?cursor=bm9uc2Vuc2U",
        "/keys?cursor=%00",
        "/keys?cursor=%ff",
    ):
        assert api.get(path).status_code == 400, path


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=1e9", "only_living=perhaps",
                                   "member_id=x", "unknown=1"])  # fmt: skip
def test_a_query_that_is_not_understood_is_refused(api: Api, query: str) -> None:
    answer = api.get(f"/keys?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_filters_leave_out_what_they_say(tenant: Any, api: Api) -> None:
    account = make_service_account("one")
    kept = make_key(name="kept", service_account_id=account.id).key
    ended = make_key(name="ended", service_account_id=account.id).key
    services.revoke_key(ended.id, actor=services_actor())

    found = api.get(f"/keys?only_living=true&service_account_id={account.id}").json()["data"]

    assert [key["id"] for key in found] == [str(kept.id)]


def test_the_rate_is_said_and_kept_per_key(tenant: Any, settings: Any, admin_key: IssuedKey) -> None:
    settings.REST_REQUESTS_PER_MINUTE = 3
    busy, other = Api(admin_key.secret), Api(make_key(name="other").secret)

    answers = [busy.get("/whoami") for _ in range(3)]
    refused = busy.get("/whoami")

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0]["RateLimit-Policy"] == '"key";q=3;w=60'
    assert answers[2]["RateLimit"].startswith('"key";r=0;t=')
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert other.get("/whoami").status_code == 200


def test_a_new_minute_begins_anew(db: None) -> None:
    whom = str(uuid4())
    assert limits.count("t", whom, limit=1, now=59.0) == limits.Allowance("t", 1, 0, 1)
    with pytest.raises(TooManyRequests) as refused:
        limits.count("t", whom, limit=1, now=59.9)

    assert refused.value.retry_after == 1
    assert limits.count("t", whom, limit=1, now=60.0) == limits.Allowance("t", 1, 0, 60)
