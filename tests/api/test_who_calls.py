"""The key in the request: every way of not being accepted gets one and the same answer."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.http import http_date

from apps.governance import services as governance
from apps.governance.types import Actor
from apps.identity import services as identity
from apps.keys import selectors, services, tokens
from apps.keys.models import ApiKey
from apps.keys.types import IssuedKey
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import as_member, make_key, make_member, make_service_account
from tests.planes import control_plane

SYSTEM = Actor.system("tests")
UNIFORM = {
    "type": "urn:lockstep:problem:invalid_key",
    "title": "Invalid key",
    "status": 401,
    "code": "invalid_key",
}


def is_uniform(answer: Any) -> bool:
    body = answer.json()
    detail = body.pop("detail")
    return (
        answer.status_code == 401
        and answer["Content-Type"] == "application/problem+json"
        and answer["WWW-Authenticate"] == 'Bearer realm="lockstep"'
        and body == UNIFORM
        and detail.startswith("This API key is not accepted here.")
    )


def test_a_key_says_who_it_is_on_a_shared_host_and_on_its_tenants_own(tenant: Any) -> None:
    member = make_member("developer")
    issued = make_key(as_member(member), scopes=["usage:read", "inference:write"])

    for host in ("127.0.0.1", "127.0.0.1:8000", "acme.localhost", "acme.localhost:8000", "ACME.localhost."):
        answer = Api(issued.secret, host).get("/whoami")

        assert answer.status_code == 200, host
        body = answer.json()
        assert body["tenant"] == {"id": str(tenant.id), "slug": "acme", "name": "Acme", "state": "ready"}
        assert body["key"]["id"] == str(issued.key.id)
        assert body["key"]["owner"] == {"kind": "member", "id": str(member.id), "name": "Developer"}
        assert body["scopes"] == ["inference:write", "usage:read"]
        assert body["plan"]
        assert issued.secret[30:61] not in answer.content.decode()


def test_x_api_key_does_as_well_as_a_bearer_token(admin_key: IssuedKey) -> None:
    assert Api("").get("/whoami", X_Api_Key=admin_key.secret).status_code == 200
    assert Api("").get("/whoami", Authorization=f"bearer {admin_key.secret}").status_code == 200


def test_a_key_of_one_tenant_is_no_key_at_the_others_host(
    tenant: Any, globex: Any, admin_key: IssuedKey
) -> None:
    with in_tenant(globex):
        theirs = make_key(scopes=["keys:read"])

    assert is_uniform(Api(admin_key.secret, "globex.localhost").get("/whoami"))
    assert is_uniform(Api(theirs.secret, "acme.localhost").get("/whoami"))
    assert Api(theirs.secret).get("/whoami").json()["tenant"]["slug"] == "globex"


def test_a_key_id_of_one_tenant_in_the_others_form_opens_nothing(
    tenant: Any, globex: Any, admin_key: IssuedKey
) -> None:
    body = admin_key.secret[:-7].replace(tenant.ref, globex.ref)
    copied = ApiKey.objects.get(pk=admin_key.key.id)
    with in_tenant(globex):
        theirs = make_service_account()
        # The row itself, copied over word for word: the digest covers the tenant.
        copied.service_account_id = theirs.id
        copied.save(force_insert=True)
    forged = f"{body}_{tokens.checksum(body)}"

    assert tokens.parse(forged) is not None
    assert is_uniform(Api(forged).get("/whoami"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "{key}"},
        {"Authorization": "Basic {key}"},
        {"Authorization": "Bearer  {key}"},
        {"Authorization": "Bearer {key} "},
        {"Authorization": "Bearer\t{key}"},
        {"Authorization": "Bearer {key}\x00"},
        {"Authorization": "Bearer {key}é"},
        {"Authorization": "Bearer {key},Bearer {key}"},
        {"Authorization": "Bearer {key}", "X-Api-Key": "{key}"},
        {"X-Api-Key": "{key},{key}"},
        {"X-Api-Key": " {key}"},
        {"X-Api-Key": "Bearer {key}"},
        {"Authorization": "Bearer " + "x" * 65536},
        {"Authorization": "Bearer lk_live_acme2345_0123456789_00000000000000000000000000000000_000000"},
        {"Cookie": "sessionid=1; key={key}"},
    ],
)
def test_headers_that_are_not_one_well_formed_key_are_refused(
    admin_key: IssuedKey, headers: dict[str, str]
) -> None:
    sent = {name: value.replace("{key}", admin_key.secret) for name, value in headers.items()}

    answer = Client(HTTP_HOST="127.0.0.1").get("/api/v1/whoami", headers=sent)

    assert is_uniform(answer)


@pytest.mark.parametrize("position", range(0, 67, 5))
def test_one_changed_character_is_refused(admin_key: IssuedKey, position: int) -> None:
    secret = admin_key.secret
    other = "b" if secret[position] != "b" else "c"

    assert is_uniform(Api(secret[:position] + other + secret[position + 1 :]).get("/whoami"))


def test_the_right_form_with_a_wrong_secret_is_refused(tenant: Any, admin_key: IssuedKey) -> None:
    made_up = tokens.generate(tenant_ref=tenant.ref, environment="live").plaintext.split("_")
    made_up[3] = admin_key.key.key_id
    body = "_".join(made_up[:5])

    assert is_uniform(Api(f"{body}_{tokens.checksum(body)}").get("/whoami"))


def test_a_key_in_the_address_is_no_key_and_is_not_logged(
    admin_key: IssuedKey, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for name in ("key", "api_key", "access_token", "Authorization", "x-api-key"):
            assert is_uniform(Client(HTTP_HOST="127.0.0.1").get("/api/v1/whoami", {name: admin_key.secret}))

    assert admin_key.secret not in caplog.text


def test_an_ended_key_is_refused_from_the_next_request_on(tenant: Any) -> None:
    ways = {
        "revoked": lambda key: services.revoke_key(key.id, actor=SYSTEM),
        "disabled": lambda key: services.disable_key(key.id, actor=SYSTEM),
        "rotated without overlap": lambda key: services.rotate_key(
            key.id, actor=SYSTEM, overlap=timedelta(0)
        ),
        "expired": lambda key: ApiKey.objects.filter(pk=key.id).update(
            created_at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(seconds=1)
        ),
        "without owner": lambda key: services.disable_service_account(key.owner.id, actor=SYSTEM),
    }
    for name, end in ways.items():
        issued = make_key(service_account_id=make_service_account(name).id)
        assert Api(issued.secret).get("/whoami").status_code == 200

        end(issued.key)

        assert is_uniform(Api(issued.secret).get("/whoami")), name


def test_a_members_keys_die_with_the_membership_and_shrink_with_the_role(tenant: Any) -> None:
    make_member("owner")
    member = make_member("admin")
    issued = make_key(as_member(member), scopes=["members:write", "usage:read", "keys:read"])
    api = Api(issued.secret)
    assert api.get("/whoami").json()["scopes"] == ["keys:read", "members:write", "usage:read"]

    identity.change_role(member_id=member.id, role="viewer", actor=SYSTEM)
    assert api.get("/whoami").json()["scopes"] == ["keys:read", "usage:read"]

    identity.deactivate_member(member_id=member.id, actor=SYSTEM)
    assert is_uniform(api.get("/whoami"))


def test_within_a_rotations_overlap_both_work_and_the_old_one_says_so(tenant: Any) -> None:
    old = make_key()
    new = services.rotate_key(old.key.id, actor=SYSTEM, overlap=timedelta(hours=1))

    first, second = Api(old.secret).get("/whoami"), Api(new.secret).get("/whoami")

    assert (first.status_code, second.status_code) == (200, 200)
    assert abs(int(first["Deprecation"].removeprefix("@")) - timezone.now().timestamp()) < 60
    assert first["Sunset"] == http_date(selectors.key(old.key.id).expires_at.timestamp())
    assert not second.has_header("Deprecation") and not second.has_header("Sunset")


def test_an_address_outside_the_networks_is_refused_whatever_the_client_claims(tenant: Any) -> None:
    inside = make_key(addresses_allowed=["127.0.0.0/8"])
    outside = make_key(addresses_allowed=["10.0.0.0/8", "2001:db8::/32"])

    assert Api(inside.secret).get("/whoami").status_code == 200
    assert is_uniform(Api(outside.secret).get("/whoami"))
    for claimed in ("10.0.0.1", "10.0.0.1, 10.0.0.2", "::ffff:10.0.0.1", "2001:db8::1"):
        assert is_uniform(Api(outside.secret).get("/whoami", X_Forwarded_For=claimed, X_Real_IP=claimed))


@pytest.mark.parametrize(
    ("peer", "forwarded", "accepted"),
    [
        ("10.0.0.9", "203.0.113.5", True),
        ("10.0.0.9", "::ffff:203.0.113.5", True),
        # The client's own claim stands left of what our proxy wrote.
        ("10.0.0.9", "203.0.113.5, 198.51.100.1", False),
        ("10.0.0.9", "198.51.100.1, 203.0.113.5", True),
        ("10.0.0.9", "", False),
        ("10.0.0.9", "nonsense", False),
        ("203.0.113.5", "", True),
        ("::ffff:203.0.113.5", "", True),
    ],
)
def test_behind_one_proxy_the_address_it_saw_decides(
    tenant: Any, settings: Any, peer: str, forwarded: str, accepted: bool
) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    issued = make_key(addresses_allowed=["203.0.113.0/24"])
    headers = {"Authorization": f"Bearer {issued.secret}"} | (
        {"X-Forwarded-For": forwarded} if forwarded else {}
    )

    answer = Client(HTTP_HOST="127.0.0.1", REMOTE_ADDR=peer).get("/api/v1/whoami", headers=headers)

    assert answer.status_code == (200 if accepted else 401)


def test_the_tenants_own_networks_bind_every_key(tenant: Any) -> None:
    from apps.keys.types import KeyPolicy

    issued = make_key(addresses_allowed=["127.0.0.1"])
    services.set_key_policy(KeyPolicy(addresses_allowed=("192.0.2.0/24",)), actor=SYSTEM)

    assert is_uniform(Api(issued.secret).get("/whoami"))


def test_a_suspended_tenant_reads_and_writes_nothing(tenant: Any, api: Api) -> None:
    with control_plane():
        governance.suspend_tenant(tenant, reason="Unpaid since May.", actor=SYSTEM)

    assert api.get("/whoami").json()["tenant"]["state"] == "suspended"
    assert api.get("/keys").status_code == 200
    refused = api.post("/keys", {"name": "x", "scopes": ["usage:read"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_suspended")
    assert "Unpaid since May." in refused.json()["detail"]
    assert len(selectors.keys()) == 1


def test_a_tenant_being_erased_has_no_keys(tenant: Any, api: Api) -> None:
    with control_plane():
        governance.delete_tenant(tenant, reason="asked", grace=timedelta(days=1), actor=SYSTEM)

    assert is_uniform(api.get("/whoami"))


def test_a_use_is_written_down_at_most_every_half_minute(tenant: Any, api: Api, admin_key: IssuedKey) -> None:
    assert selectors.key(admin_key.key.id).last_used_at is None

    api.get("/whoami", User_Agent="check\x1b[31m/1.0")
    first = selectors.key(admin_key.key.id)
    api.get("/whoami", User_Agent="other/2.0")

    assert first.last_used_at is not None
    assert (first.last_used_address, first.last_used_agent) == ("127.0.0.1", "check [31m/1.0")
    assert selectors.key(admin_key.key.id) == first
