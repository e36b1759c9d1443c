"""A write repeated with its Idempotency-Key happens once."""

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from apps.governance.types import Actor
from apps.keys import selectors, services
from apps.keys.models import ApiKey, IdempotentWrite
from apps.keys.selectors import keys as list_keys
from apps.keys.types import KEY_SCOPES, IssuedKey
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import make_key

WISH = {"name": "once", "scopes": ["usage:read"]}


@pytest.fixture
def committing(fresh_tenant: Callable[..., Any]) -> Iterator[Any]:
    """A tenant of the test's own with a key, whose changes are committed."""
    tenant = fresh_tenant()
    with in_tenant(tenant):
        yield tenant, make_key(scopes=sorted(KEY_SCOPES))


def test_the_repetition_gets_the_same_answer_and_nothing_happens_again(tenant: Any, api: Api) -> None:
    word = str(uuid4())

    first = api.post("/keys", WISH, Idempotency_Key=word)
    again = api.post("/keys", WISH, Idempotency_Key=word)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert (first.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert [key.name for key in list_keys()] == ["once", "admin"]


def test_what_is_kept_of_an_answer_cannot_be_read_without_the_callers_secret(tenant: Any, api: Api) -> None:
    secret = api.post("/keys", WISH, Idempotency_Key="w").json()["secret"]

    kept = IdempotentWrite.objects.get()

    stored = b" ".join(bytes(part) for part in (kept.answer, kept.fingerprint)) + str(kept.__dict__).encode()
    assert secret[30:61].encode() not in stored
    assert b"once" not in bytes(kept.answer)


def test_another_request_under_the_same_word_is_refused(tenant: Any, api: Api) -> None:
    api.post("/keys", WISH, Idempotency_Key="w")
    other = make_key().key

    for answer in (
        api.post("/keys", WISH | {"name": "other"}, Idempotency_Key="w"),
        api.post("/service-accounts", {"name": "x"}, Idempotency_Key="w"),
        api.post(f"/keys/{other.id}/revoke", {}, Idempotency_Key="w"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert selectors.key(other.id).state.is_usable


def test_two_keys_may_choose_the_same_word_and_do_not_see_each_others_answers(tenant: Any, api: Api) -> None:
    other = Api(make_key(scopes=["keys:write", "usage:read"]).secret)

    mine, theirs = (
        api.post("/keys", WISH, Idempotency_Key="w"),
        other.post("/keys", WISH, Idempotency_Key="w"),
    )

    assert mine.json()["key"]["id"] != theirs.json()["key"]["id"]
    assert mine.json()["secret"] != theirs.json()["secret"]


def test_a_refused_request_keeps_nothing_and_may_be_sent_again(tenant: Any, api: Api) -> None:
    refused = api.post("/keys", WISH | {"scopes": ["nonsense"]}, Idempotency_Key="w")
    done = api.post("/keys", WISH, Idempotency_Key="w")

    assert (refused.status_code, done.status_code) == (400, 201)


@pytest.mark.parametrize("word", ["", " ", "a b", "x" * 256, "é", "\x00", "tab\there"])
def test_a_word_that_is_none_is_refused(tenant: Any, api: Api, word: str) -> None:
    answer = api.post("/keys", WISH, Idempotency_Key=word)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
    assert len(selectors.keys()) == 1


def test_a_revoked_key_gets_no_repetition(tenant: Any, api: Api, admin_key: IssuedKey) -> None:
    api.post("/keys", WISH, Idempotency_Key="w")
    services.revoke_key(admin_key.key.id, actor=Actor.system())

    assert api.post("/keys", WISH, Idempotency_Key="w").status_code == 401


def test_an_answer_that_somebody_else_wrote_is_not_given(tenant: Any, api: Api) -> None:
    api.post("/keys", WISH, Idempotency_Key="w")
    IdempotentWrite.objects.update(answer=b"x" * 200)

    assert api.post("/keys", WISH, Idempotency_Key="w").status_code == 422


def test_of_eight_at_once_one_writes_and_the_others_get_its_answer_or_are_told_to_wait(
    committing: Any,
) -> None:
    _, issued = committing
    answers: list[Any] = []
    start = threading.Barrier(8)

    def send() -> None:
        from apps.tenancy.services import in_public

        with in_public():
            start.wait()
            answers.append(Api(issued.secret).post("/keys", WISH, Idempotency_Key="w"))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(waiting) == 8
    assert done
    assert len({answer.json()["secret"] for answer in done}) == 1
    assert {answer.json()["code"] for answer in waiting} <= {"request_in_progress"}
    assert all(answer["Retry-After"] == "1" for answer in waiting)
    assert ApiKey.objects.filter(name="once").count() == 1


def test_an_effect_that_fails_at_the_end_leaves_neither_effect_nor_answer(
    committing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, issued = committing
    api = Api(issued.secret)

    def fail(*_: Any) -> None:
        raise RuntimeError("the process dies here")

    monkeypatch.setattr("apps.keys.rest.idempotency.Attempt.keep", fail)
    broken = api.post("/keys", WISH, Idempotency_Key="w")
    monkeypatch.undo()

    assert broken.status_code == 500
    assert (ApiKey.objects.filter(name="once").count(), IdempotentWrite.objects.count()) == (0, 0)
    assert api.post("/keys", WISH, Idempotency_Key="w").status_code == 201
