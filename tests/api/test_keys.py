"""Keys over the API: who may do what to which, and what comes back."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from apps.governance.selectors import audit_log
from apps.governance.types import Actor
from apps.keys import selectors, services
from apps.keys.tokens import parse
from apps.keys.types import IssuedKey, KeyState
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import as_member, limit_keys, make_key, make_member, make_service_account

SYSTEM = Actor.system("tests")


def code(answer: Any) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_key_is_issued_shown_once_and_works(tenant: Any, api: Api) -> None:
    account = make_service_account("reports")

    answer = api.post(
        "/keys",
        {
            "name": "reports", "scopes": ["usage:read"], "service_account_id": str(account.id),
            "tags": {"team": "a"}, "addresses_allowed": ["127.0.0.1"], "models_allowed": ["small"],
            "limits": {"requests_per_minute": 5},
        },
    )  # fmt: skip

    assert answer.status_code == 201
    body = answer.json()
    assert answer["Location"] == f"/api/v1/keys/{body['key']['id']}"
    assert parse(body["secret"]) is not None
    assert body["key"]["limits"] == {
        "requests_per_minute": 5, "tokens_per_minute": None, "concurrent_calls": None,
        "shadow_limits": False,
    }  # fmt: skip
    assert body["key"]["addresses_allowed"] == ["127.0.0.1/32"]
    assert Api(body["secret"]).get("/whoami").json()["scopes"] == ["usage:read"]
    shown = api.get(f"/keys/{body['key']['id']}")
    assert body["secret"][30:61] not in shown.content.decode()
    entry = audit_log(action="key.issued", limit=1)[0]
    assert (entry.actor_kind, entry.actor_name, entry.address) == ("key", "admin", "127.0.0.1")
    assert entry.request_id == answer["X-Request-ID"]


def test_without_an_owner_the_new_key_is_the_issuers_owners(tenant: Any) -> None:
    member = make_member("developer")
    api = Api(make_key(as_member(member), scopes=["keys:write", "usage:read"]).secret)

    made = api.post("/keys", {"name": "mine", "scopes": ["usage:read"]}).json()["key"]

    assert made["owner"] == {"kind": "member", "id": str(member.id), "name": "Developer"}


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        ({"scopes": ["members:write"]}, (403, "scope_not_held")),
        ({"scopes": ["*"]}, (400, "unknown_scope")),
        ({"scopes": []}, (400, "invalid_request")),
        ({"member_id": str(uuid4())}, (403, "not_your_key")),
        ({"service_account_id": str(uuid4())}, (404, "service_account_not_found")),
        ({"expires_at": "2999-01-01T00:00:00Z"}, (403, "key_lifetime_too_long")),
        ({"expires_at": "1999-01-01T00:00:00Z"}, (400, "invalid_key_settings")),
        ({"environment": "test"}, (403, "wrong_environment")),
        ({"addresses_allowed": ["::1/129"]}, (400, "invalid_network")),
        ({"is_superuser": True}, (400, "invalid_request")),
        ({"adresses_allowed": ["127.0.0.1"]}, (400, "invalid_request")),
        ({"limits": {"requests_per_hour": 5}}, (400, "invalid_request")),
        ({"name": "\x00"}, (400, "invalid_request")),
        ({"tags": {"\ud800": "x"}}, (400, "invalid_request")),
        ({"tags": {"\x00": "x"}}, (400, "invalid_key_settings")),
    ],
)
def test_asking_for_too_much_is_refused_with_its_reason(
    tenant: Any, wish: dict[str, Any], refusal: tuple[int, str]
) -> None:
    api = Api(make_key(scopes=["keys:write", "usage:read"]).secret)

    answer = api.post("/keys", {"name": "x", "scopes": ["usage:read"], **wish})

    assert code(answer) == refusal
    assert len(selectors.keys()) == 1


def test_scopes_open_doors_and_nothing_else_does(tenant: Any) -> None:
    api = Api(make_key(scopes=["usage:read"]).secret)
    key = selectors.keys()[0]

    assert api.get("/whoami").status_code == 200
    for method, path in [
        ("GET", "/keys"), ("POST", "/keys"), ("GET", f"/keys/{key.id}"), ("PATCH", f"/keys/{key.id}"),
        ("POST", f"/keys/{key.id}/revoke"), ("POST", f"/keys/{key.id}/rotate"),
        ("POST", f"/keys/{key.id}/children"), ("POST", "/keys/introspect"), ("GET", "/service-accounts"),
        ("POST", "/service-accounts"), ("GET", "/audit"), ("GET", "/key-policy"), ("PUT", "/key-policy"),
    ]:  # fmt: skip
        assert code(api.send(method, path, {})) == (403, "scope_missing"), (method, path)


def test_what_does_not_exist_is_said_to_be_so(api: Api) -> None:
    assert code(api.get(f"/keys/{uuid4()}")) == (404, "key_not_found")
    assert code(api.get(f"/service-accounts/{uuid4()}")) == (404, "service_account_not_found")
    assert code(api.get("/nowhere")) == (404, "not_found")
    assert code(api.get("/keys/not-a-uuid")) == (404, "not_found")
    for method, path in [("DELETE", "/keys"), ("OPTIONS", "/keys"), ("PUT", "/whoami"), ("TRACE", "/keys")]:
        assert code(api.send(method, path)) == (405, "method_not_allowed"), method


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", (400, "invalid_request")),
        (b"{", (400, "invalid_request")),
        (b"[]", (400, "invalid_request")),
        (b"null", (400, "invalid_request")),
        (b"1e999", (400, "invalid_request")),
        (b'{"name": NaN}', (400, "invalid_request")),
        (b"\xff\xfe", (400, "invalid_request")),
        (b"[" * 100_000, (400, "invalid_request")),
        (b'{"name": "' + b"x" * (2 * 1024 * 1024) + b'"}', (413, "too_large")),
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_a_4xx(
    api: Api, body: bytes, refusal: tuple[int, str]
) -> None:
    assert code(api.send("POST", "/keys", body)) == refusal


def test_another_form_of_body_or_answer_is_refused(api: Api, admin_key: IssuedKey) -> None:
    form = api.client.post(
        "/api/v1/keys", {"name": "x"}, headers={"Authorization": f"Bearer {admin_key.secret}"}
    )
    assert code(form) == (415, "unsupported_media_type")
    assert api.get("/whoami", Accept="text/html").status_code == 406


def test_the_other_tenants_keys_are_not_there(tenant: Any, globex: Any, api: Api) -> None:
    with in_tenant(globex):
        theirs = make_key()

    for method, path in [
        ("GET", f"/keys/{theirs.key.id}"), ("PATCH", f"/keys/{theirs.key.id}"),
        ("POST", f"/keys/{theirs.key.id}/revoke"), ("POST", f"/keys/{theirs.key.id}/rotate"),
        ("POST", f"/keys/{theirs.key.id}/disable"),
    ]:  # fmt: skip
        assert code(api.send(method, path, {})) == (404, "key_not_found")
    assert [key["name"] for key in api.get("/keys").json()["data"]] == ["admin"]
    assert api.post("/keys/introspect", {"key": theirs.secret}).json() == {"active": False}
    with in_tenant(globex):
        assert selectors.key(theirs.key.id).state is KeyState.ACTIVE


def test_live_and_test_keys_never_mix(tenant: Any) -> None:
    scopes = ["keys:read", "keys:write", "usage:read", "audit:read"]
    live = make_key(name="live", scopes=scopes)
    test = make_key(name="test", scopes=scopes, environment="test")
    for mine, other in ((live, test), (test, live)):
        api = Api(mine.secret)

        assert [key["name"] for key in api.get("/keys").json()["data"]] == [mine.key.name]
        assert code(api.get(f"/keys/{other.key.id}")) == (403, "wrong_environment")
        for action in ("rotate", "revoke", "disable", "enable"):
            answer = api.post(f"/keys/{other.key.id}/{action}")
            assert code(answer) == (403, "wrong_environment"), action
        assert api.post("/keys/introspect", {"key": other.secret}).json() == {"active": False}
        made = api.post("/keys", {"name": "new", "scopes": ["usage:read"]}).json()
        assert made["secret"].startswith(f"lk_{mine.key.environment}_")
        services.revoke_key(made["key"]["id"], actor=SYSTEM)
        services.revoke_key(selectors.keys()[0].id, actor=SYSTEM)
    assert code(Api(test.secret).get("/audit")) == (403, "wrong_environment")
    assert code(Api(test.secret).get("/service-accounts")) == (403, "wrong_environment")
    assert Api(live.secret).get("/audit").status_code == 200
    switched = live.secret.replace("lk_live_", "lk_test_")
    assert code(Api(switched).get("/whoami")) == (401, "invalid_key")


def test_changing_a_key_says_what_it_is_now(tenant: Any, api: Api) -> None:
    key = make_key(tags={"old": "tag"}).key

    answer = api.patch(f"/keys/{key.id}", {"name": "renamed", "limits": {"concurrent_calls": 2}})

    assert answer.status_code == 200
    assert answer.json()["name"] == "renamed"
    assert answer.json()["tags"] == {"old": "tag"}
    assert audit_log(action="key.changed")[0].details["changed"] == {
        "name": ["first", "renamed"], "concurrent_calls": [None, 2],
    }  # fmt: skip
    assert code(api.patch(f"/keys/{key.id}", {"scopes": ["billing:write"]})) == (400, "invalid_request")
    assert code(api.patch(f"/keys/{key.id}", {"expires_at": "2027-01-01T00:00:00Z"})) == (
        400,
        "invalid_request",
    )


def test_a_key_cannot_loosen_what_binds_it(tenant: Any) -> None:
    issued = make_key(scopes=["keys:write"], addresses_allowed=["127.0.0.0/8"], models_allowed=["small"])
    api = Api(issued.secret)

    for change in ({"addresses_allowed": []}, {"models_allowed": []}, {"models_allowed": ["small", "large"]}):
        assert code(api.patch(f"/keys/{issued.key.id}", change)) == (403, "wider_than_parent")
    assert api.patch(f"/keys/{issued.key.id}", {"addresses_allowed": ["127.0.0.1"]}).status_code == 200


def test_rotation_gives_a_successor_with_the_same_rights(tenant: Any, api: Api) -> None:
    old = make_key(name="svc", models_allowed=["small"], tags={"a": "b"})

    answer = api.post(f"/keys/{old.key.id}/rotate", {"overlap_seconds": 3600})

    body = answer.json()
    assert answer.status_code == 201
    assert {name: body["key"][name] for name in ("name", "scopes", "models_allowed", "tags")} == {
        "name": "svc", "scopes": ["inference:write"], "models_allowed": ["small"], "tags": {"a": "b"},
    }  # fmt: skip
    detail = api.get(f"/keys/{body['key']['id']}").json()
    assert [link["id"] for link in detail["replaces"]] == [str(old.key.id)]
    before = api.get(f"/keys/{old.key.id}").json()
    assert before["key"]["state"] == "deprecated"
    assert before["replaced_by"]["id"] == body["key"]["id"]
    assert code(api.post(f"/keys/{old.key.id}/rotate")) == (409, "key_not_usable")
    for overlap in (-1, 30 * 86_400 + 1, "soon", None):
        answer = api.post(f"/keys/{body['key']['id']}/rotate", {"overlap_seconds": overlap})
        assert code(answer) == (400, "invalid_request")


def test_a_weaker_key_cannot_rotate_a_stronger_one_to_get_its_rights(tenant: Any) -> None:
    strong = make_key(scopes=["keys:write", "billing:write"])
    weak = Api(make_key(scopes=["keys:write"]).secret)

    assert code(weak.post(f"/keys/{strong.key.id}/rotate")) == (403, "scope_not_held")
    assert code(weak.post(f"/keys/{strong.key.id}/children", {"name": "x"})) == (403, "scope_not_held")
    assert selectors.key(strong.key.id).state is KeyState.ACTIVE


def test_a_members_key_is_not_for_another_members_to_end(tenant: Any) -> None:
    mine, theirs = make_member("developer"), make_member("developer", email="other@example.com")
    api = Api(make_key(as_member(mine), scopes=["keys:write"]).secret)
    other = make_key(as_member(theirs)).key

    for action in ("rotate", "revoke", "disable", "enable"):
        assert code(api.post(f"/keys/{other.id}/{action}")) == (403, "not_your_key"), action
    assert code(api.patch(f"/keys/{other.id}", {"name": "mine"})) == (403, "not_your_key")
    admin = Api(make_key(as_member(make_member("admin")), scopes=["keys:write", "members:write"]).secret)
    assert admin.post(f"/keys/{other.id}/revoke", {"reason": "left"}).json()["state"] == "revoked"
    assert code(admin.post(f"/keys/{other.id}/enable")) == (409, "key_not_usable")


def test_pausing_and_ending(api: Api, tenant: Any) -> None:
    key = make_key().key

    assert api.post(f"/keys/{key.id}/disable", {"reason": "holiday"}).json()["state"] == "disabled"
    assert api.post(f"/keys/{key.id}/disable").json()["disabled_reason"] == "holiday"
    assert api.post(f"/keys/{key.id}/enable").json()["state"] == "active"
    revoked = api.post(f"/keys/{key.id}/revoke", {"reason": "done"}).json()
    assert (revoked["state"], revoked["revoked_reason"]) == ("revoked", "done")
    assert api.post(f"/keys/{key.id}/revoke", {"reason": "again"}).json() == revoked
    assert [entry.action for entry in audit_log(target_id=str(key.id))] == [
        "key.revoked", "key.enabled", "key.disabled", "key.issued",
    ]  # fmt: skip


def test_introspection_tells_of_own_keys_whether_they_are_accepted(tenant: Any, api: Api) -> None:
    key = make_key(addresses_allowed=["192.0.2.1"])

    told = api.post("/keys/introspect", {"key": key.secret}).json()
    assert told["active"] is True
    assert told["key"]["id"] == str(key.key.id)
    assert key.secret[30:61] not in str(told)
    for other in (key.secret[:-1], key.secret + "0", "nonsense", "lk_live_"):
        assert api.post("/keys/introspect", {"key": other}).json() == {"active": False}
    services.revoke_key(key.key.id, actor=SYSTEM)
    assert api.post("/keys/introspect", {"key": key.secret}).json() == {"active": False}


def test_the_plans_number_of_keys_is_kept(tenant: Any, api: Api) -> None:
    limit_keys(1)

    answer = api.post("/keys", {"name": "x", "scopes": ["usage:read"]})

    assert code(answer) == (409, "key_limit_reached")
    assert answer.json()["limit"] == 1


def test_children_are_part_of_their_parent_and_die_with_it(
    tenant: Any, api: Api, admin_key: IssuedKey
) -> None:
    parent = make_key(
        name="agent", scopes=["inference:write", "keys:read", "keys:write"],
        models_allowed=["small", "large"], tags={"a": "b"},
    )  # fmt: skip
    by_parent = Api(parent.secret)
    before = timezone.now()

    child = by_parent.post(
        f"/keys/{parent.key.id}/children", {"name": "run", "models_allowed": ["small"]}
    ).json()

    assert child["key"]["scopes"] == ["inference:write", "keys:read"]
    assert child["key"]["tags"] == {"a": "b"}
    lives = selectors.key(child["key"]["id"]).expires_at - before
    assert timedelta(minutes=59) < lives < timedelta(minutes=61)
    assert Api(child["secret"]).get("/whoami").status_code == 200
    listed = by_parent.get(f"/keys/{parent.key.id}").json()["children"]
    assert [link["id"] for link in listed] == [child["key"]["id"]]

    api.post(f"/keys/{parent.key.id}/disable")
    assert Api(child["secret"]).get("/whoami").status_code == 401
    api.post(f"/keys/{parent.key.id}/enable")
    assert Api(child["secret"]).get("/whoami").status_code == 200
    api.post(f"/keys/{parent.key.id}/revoke")
    assert Api(child["secret"]).get("/whoami").status_code == 401
    assert selectors.key(child["key"]["id"]).state is KeyState.REVOKED


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        ({"scopes": ["billing:write"]}, (403, "wider_than_parent")),
        ({"scopes": ["keys:write"]}, (403, "wider_than_parent")),
        ({"models_allowed": ["huge"]}, (403, "wider_than_parent")),
        ({"models_allowed": []}, (403, "wider_than_parent")),
        ({"addresses_allowed": ["0.0.0.0/0"]}, (403, "wider_than_parent")),
        ({"limits": {"requests_per_minute": 11}}, (403, "wider_than_parent")),
        ({"limits": {}}, (403, "wider_than_parent")),
        ({"expires_at": "2999-01-01T00:00:00Z"}, (403, "wider_than_parent")),
        ({"scopes": ["nonsense"]}, (400, "unknown_scope")),
        ({"expires_at": "2001-01-01T00:00:00Z"}, (400, "invalid_key_settings")),
        ({"environment": "test"}, (400, "invalid_request")),
    ],
)
def test_a_child_wider_than_its_parent_is_refused(
    tenant: Any, api: Api, wish: dict[str, Any], refusal: tuple[int, str]
) -> None:
    from apps.keys.types import KeyLimits

    parent = make_key(
        scopes=["inference:write", "keys:write"], models_allowed=["small"], addresses_allowed=["10.0.0.0/8"],
        limits=KeyLimits(requests_per_minute=10),
    )  # fmt: skip

    answer = api.post(f"/keys/{parent.key.id}/children", {"name": "child", **wish})

    assert code(answer) == refusal
    assert selectors.key_detail(parent.key.id).children == ()


def test_a_child_has_no_children_and_makes_no_keys(tenant: Any, api: Api) -> None:
    parent = make_key(scopes=["inference:write"])
    child = services.issue_child_key(parent.key.id, actor=SYSTEM, name="child")

    assert code(api.post(f"/keys/{child.key.id}/children", {"name": "x"})) == (403, "wider_than_parent")
    assert code(Api(child.secret).post("/keys", {"name": "x", "scopes": ["inference:write"]}))[0] == 403


def test_service_accounts_over_the_api(tenant: Any, api: Api) -> None:
    made = api.post("/service-accounts", {"name": "nightly", "description": "reports"})

    assert made.status_code == 201
    account = made.json()
    assert code(api.post("/service-accounts", {"name": "NIGHTLY"})) == (409, "service_account_name_taken")
    issued = api.post(
        "/keys", {"name": "k", "scopes": ["usage:read"], "service_account_id": account["id"]}
    ).json()
    assert api.get(f"/service-accounts/{account['id']}").json()["usable_keys"] == 1
    assert api.post(f"/service-accounts/{account['id']}/disable").json()["is_active"] is False
    assert Api(issued["secret"]).get("/whoami").status_code == 401
    assert api.post(f"/service-accounts/{account['id']}/enable").json()["is_active"] is True
    assert Api(issued["secret"]).get("/whoami").status_code == 200


def test_the_policy_is_read_and_replaced(tenant: Any, api: Api) -> None:
    policy = api.get("/key-policy").json()
    assert policy == {
        "default_days": 90, "maximum_days": 365, "warn_unused_days": 60, "disable_unused_days": 90,
        "revoke_on_leak": True, "addresses_allowed": [],
    }  # fmt: skip

    changed = policy | {"maximum_days": 30, "default_days": 7, "addresses_allowed": ["127.0.0.1/8"]}
    assert api.put("/key-policy", changed).json() == changed | {"addresses_allowed": ["127.0.0.0/8"]}
    late = (timezone.now() + timedelta(days=31)).isoformat()
    refused = api.post("/keys", {"name": "x", "scopes": ["usage:read"], "expires_at": late})
    assert code(refused) == (403, "key_lifetime_too_long")
    assert refused.json()["maximum_days"] == 30
    assert code(api.put("/key-policy", changed | {"default_days": 31})) == (400, "invalid_key_settings")
    assert code(api.put("/key-policy", {"maximum_days": 30})) == (400, "invalid_request")


def test_the_audit_log_is_read_with_its_scope(tenant: Any, api: Api, admin_key: IssuedKey) -> None:
    make_key()

    entries = api.get("/audit?action=key.").json()["data"]

    assert [entry["action"] for entry in entries] == ["key.issued", "key.issued"]
    assert entries[1]["target_id"] == str(admin_key.key.id)
    assert api.get("/audit?action=nothing").json() == {"data": [], "next_cursor": None}
