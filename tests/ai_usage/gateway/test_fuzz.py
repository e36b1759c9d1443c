"""Whatever a client sends: a 4xx in the surface's words, no call to a provider, nothing held, and never our fault."""

import gzip
import json
import math
import socket
import time
import uuid

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ai_usage.gateway.conftest import make_caller
from tests.factories.tenants import make_tenant
from tests.planes import control_plane
from tests.system import running_web

CHAT, RESPONSES, EMBEDDINGS, MESSAGES = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
)
MODELS = {
    CHAT: "gpt-4o-mini",
    RESPONSES: "gpt-4o-mini",
    EMBEDDINGS: "text-embedding-3-small",
    MESSAGES: "claude-sonnet-5-5",
}
GOOD = {
    CHAT: {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5},
    RESPONSES: {"input": "Hi", "max_output_tokens": 5},
    EMBEDDINGS: {"input": "Hi"},
    MESSAGES: {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5},
}
PATHS = pytest.mark.parametrize("path", GOOD)


@pytest.fixture(scope="module")
def hardy_web(services, simulator):
    """A web process that is impatient and takes small bodies."""
    with running_web(services, GATEWAY_BODY_TIMEOUT="2", GATEWAY_MAX_BODY="200000") as web:
        yield web


@pytest.fixture(scope="module")
def bad_client(hardy_web, django_db_setup, django_db_blocker):
    """A caller whose tenant has a budget and three slots."""
    with django_db_blocker.unblock(), control_plane():
        tenant = make_tenant(f"t{uuid.uuid4().hex[:12]}", spend_per_month="1", concurrent_calls=3)
        return make_caller(tenant, hardy_web)


@pytest.fixture
def caller(bad_client, committed):
    """The same one for every test."""
    return bad_client


@pytest.fixture
def nothing_happened(caller, simulator, services):
    """After the test: no provider was asked, nothing is held or charged, and the process logged no failure."""
    since, log = simulator.last_seq(), caller.web.log
    began, events = log.stat().st_size, len(caller.events())
    yield
    assert simulator.served(since=since, billed="any") == []
    assert len(caller.events()) == events
    with redis.Redis.from_url(services.valkey_url, decode_responses=True) as valkey:
        prefix = f"lockstep:{{{caller.tenant.id.hex}}}"
        for name in valkey.keys(f"{prefix}:b:*"):
            assert int(valkey.hget(name, "r") or 0) == 0
        assert valkey.zcard(f"{prefix}:leases") == 0
        for name in valkey.keys(f"{prefix}:c:*"):
            assert valkey.zcount(name, time.time() * 1000, "+inf") == 0
    assert "failed in the gateway itself" not in log.read_text()[began:]


def check_refused(path, answer):
    """A 4xx whose body is the dialect's error."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    error = answer.json()["error"]
    if path == MESSAGES:
        assert answer.json()["type"] == "error"
        assert set(error) >= {"type", "message"}
    else:
        assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-lockstep-code"]


def raw_body(path, members):
    return b'{"model": "%s", %s}' % (MODELS[path].encode(), members)


GOOD_MEMBERS = {path: json.dumps(body)[1:-1].encode() for path, body in GOOD.items()}


@PATHS
def test_bodies_that_are_no_json_in_utf_8(caller, nothing_happened, path):
    good = raw_body(path, GOOD_MEMBERS[path])
    for broken in (
        b"",
        b" ",
        b"\x00" * 50,
        good[:-1],
        good + b"}",
        good + good,
        b"\xef\xbb\xbf" + good,
        good.decode().encode("utf-16"),
        good.decode().encode("utf-32"),
        good.replace(b"Hi", b"\xff\xfe"),
        good.replace(b"Hi", b"\xed\xa0\x80"),
        good.replace(b"Hi", b"\\ud800"),
        good.replace(b"Hi", b"a\nb"),
        good.replace(b'"Hi"', b"NaN"),
        good.replace(b'"Hi"', b"Infinity"),
        good.replace(b'"Hi"', b"-Infinity"),
        good.replace(b'"Hi"', b"'Hi'"),
        good.replace(b"{", b"{/* hello */", 1),
        good.replace(b"}", b",}", 1),
        b"[" * 100_000,
        b'{"a":' * 30_000,
        raw_body(path, GOOD_MEMBERS[path] + b', "deep": ' + b"[" * 1500 + b"]" * 1500),
        b"null",
        b"[]",
        b"0",
        b'"model"',
    ):
        answer = caller.post(path, data=broken, headers={"content-type": "application/json"})
        check_refused(path, answer)


@PATHS
def test_members_that_decide_may_not_be_given_twice(caller, nothing_happened, path):
    for twice in (
        b'"model": "gpt-4o", ' + GOOD_MEMBERS[path],
        GOOD_MEMBERS[path] + b', "m\\u006fdel": "gpt-4o"',
        b'"stream": false, "stream": true, ' + GOOD_MEMBERS[path],
    ):
        answer = caller.post(path, data=raw_body(path, twice), headers={"content-type": "application/json"})
        check_refused(path, answer)
        assert answer.headers["x-lockstep-code"] == "duplicate_member"


JUNK = [
    None,
    True,
    False,
    0,
    -1,
    10**30,
    -(10**30),
    1.5,
    1e308,
    "",
    "x" * 200,
    "\x00",
    [],
    {},
    [[]],
    [None],
    {"a": {}},
]
MEMBERS = {
    CHAT: ["model", "messages", "max_tokens", "max_completion_tokens", "n", "stream", "stream_options"],
    RESPONSES: ["model", "stream", "background", "max_output_tokens"],
    EMBEDDINGS: ["model"],
    MESSAGES: ["model", "messages", "max_tokens", "stream"],
}


def is_allowed(path, member, value):
    """Whether such a value is right after all."""
    if value is None:
        return member not in ("model", "messages") and (path, member) != (MESSAGES, "max_tokens")
    if member in ("stream", "background"):
        return isinstance(value, bool)
    return (member == "messages" and isinstance(value, list)) or (
        member == "stream_options" and isinstance(value, dict)
    )


@PATHS
def test_members_that_decide_must_be_of_their_kind(caller, nothing_happened, path):
    for member in MEMBERS[path]:
        for value in JUNK:
            if is_allowed(path, member, value) or (isinstance(value, int) and value > 2**63):
                continue
            answer = caller.post(path, {"model": MODELS[path]} | GOOD[path] | {member: value})
            check_refused(path, answer)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "messages", "input", "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "stream",
    "stream_options", "tools", "tool_choice", "service_tier", "background", "store", "prompt", "system",
    "metadata", "response_format", "temperature", "stop", "user", "instructions", "web_search_options",
    "thinking", "modalities", "reasoning", "include",
]  # fmt: skip


@PATHS
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    members=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5),
    other=st.dictionaries(st.text(max_size=8), VALUES, max_size=2),
)
def test_no_body_of_any_shape_is_our_fault(liars_path, path, members, other):
    caller, simulator = liars_path
    body = other | GOOD[path] | members | {"model": MODELS[path]}
    since = simulator.last_seq()

    answer = caller.post(path, body)

    # What is not ours to judge goes to the provider, and its refusal comes back.
    asked = simulator.served(since=since, billed="any")
    assert answer.status_code < 500, (body, answer.text[:300])
    if not asked and not answer.ok:
        check_refused(path, answer)


@pytest.fixture
def liars_path(caller, simulator):
    return caller, simulator


@PATHS
def test_bodies_that_are_too_large_compressed_or_of_another_type(caller, nothing_happened, path):
    good = raw_body(path, GOOD_MEMBERS[path])
    json_type = {"content-type": "application/json"}
    expected = [
        (raw_body(path, b'"pad": "' + b"x" * 300_000 + b'", ' + GOOD_MEMBERS[path]), json_type, 413),
        (gzip.compress(good), json_type | {"content-encoding": "gzip"}, 415),
        (good, json_type | {"content-encoding": "br"}, 415),
        (good, {"content-type": "text/plain"}, 415),
        (good, {"content-type": "application/x-www-form-urlencoded"}, 415),
        (good, {"content-type": "multipart/form-data; boundary=x"}, 415),
        (good, {"content-type": "application/jsonp"}, 415),
        (good, {}, 415),
    ]
    for body, headers, status in expected:
        answer = caller.post(path, data=body, headers=headers)
        check_refused(path, answer)
        assert answer.status_code == status


@PATHS
def test_idempotency_keys_that_are_none(caller, nothing_happened, path):
    for key in ("", "a b", "x" * 256, "tab\there", "caf\xe9"):
        answer = caller.post(
            path,
            {"model": MODELS[path]} | GOOD[path],
            headers={"idempotency-key": key.encode("latin-1")},
        )
        check_refused(path, answer)
        assert answer.headers["x-lockstep-code"] == "invalid_idempotency_key"


def spoken(caller, request, *, quiet=0.5):
    """What comes back for bytes on a bare socket until the server closes or says nothing more."""
    with socket.create_connection(("127.0.0.1", caller.web.port), timeout=8) as client:
        answered = b""
        try:
            client.sendall(request.replace(b"$KEY", caller.secret.encode()))
            while piece := client.recv(65536):
                answered += piece
                client.settimeout(quiet)
        except (TimeoutError, ConnectionError):
            pass
    return answered


LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
HEAD = b"host: 127.0.0.1\r\nauthorization: Bearer $KEY\r\ncontent-type: application/json\r\n"
BODY = raw_body(CHAT, GOOD_MEMBERS[CHAT])
LENGTH = b"content-length: %d\r\n" % len(BODY)

SMUGGLED = {
    "two lengths": LINE + HEAD + LENGTH + b"content-length: 3\r\n\r\n" + BODY,
    "lengths in one": LINE + HEAD + b"content-length: %d, %d\r\n\r\n" % (len(BODY), 3) + BODY,
    "a signed length": LINE + HEAD + b"content-length: +%d\r\n\r\n" % len(BODY) + BODY,
    "a negative length": LINE + HEAD + b"content-length: -1\r\n\r\n" + BODY,
    "chunked and a length": LINE + HEAD + LENGTH + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + BODY,
    "another coding": LINE + HEAD + b"transfer-encoding: gzip\r\n\r\n" + BODY,
    "chunked twice over": LINE + HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a hidden coding": LINE + HEAD + b"transfer-encoding: \x0bchunked\r\n" + LENGTH + b"\r\n0\r\n\r\n",
    "a broken chunk": LINE + HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "a folded header": LINE + HEAD + b"x-a: b\r\n c\r\n" + LENGTH + b"\r\n{",
    "a space before the colon": LINE + HEAD + b"content-length : %d\r\n\r\n" % len(BODY) + BODY,
    "a nul in a header": LINE + HEAD + b"x-a: b\x00c\r\n" + LENGTH + b"\r\n" + BODY,
    "no name": LINE + HEAD + b": nothing\r\n" + LENGTH + b"\r\n" + BODY,
    "two authorizations": LINE + HEAD + b"authorization: Bearer x\r\n" + LENGTH + b"\r\n" + BODY,
    "two hosts": LINE + HEAD + b"host: evil.example\r\n" + LENGTH + b"\r\n" + BODY,
    "a huge header": LINE + HEAD + b"x-a: " + b"a" * 1_000_000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
    "many headers": LINE + HEAD + b"".join(b"x-%d: a\r\n" % n for n in range(5000)) + LENGTH + b"\r\n" + BODY,
    "no version": b"POST /v1/chat/completions\r\n" + HEAD + LENGTH + b"\r\n" + BODY,
    "another protocol": b"POST /v1/chat/completions HTTP/9.9\r\n" + HEAD + LENGTH + b"\r\n" + BODY,
    "a method of spaces": b"PO ST /v1/chat/completions HTTP/1.1\r\n" + HEAD + LENGTH + b"\r\n" + BODY,
    "another method": b"BREW /v1/chat/completions HTTP/1.1\r\n" + HEAD + LENGTH + b"\r\n" + BODY,
    "a long path": b"POST /v1/" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HEAD + LENGTH + b"\r\n" + BODY,
    "dots": b"POST /v1/../v1/./messages/../../admin HTTP/1.1\r\n" + HEAD + LENGTH + b"\r\n" + BODY,
    "a short body": LINE + HEAD + b"content-length: 100000\r\n\r\n" + BODY,
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    "noise": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("request_", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_what_is_not_one_request_is_none(caller, nothing_happened, request_):
    answered = spoken(caller, request_)

    statuses = [line for line in answered.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert len(statuses) <= 1, answered[:500]
    assert all(b" 4" in status for status in statuses), answered[:500]


@pytest.mark.parametrize(
    "begun",
    [LINE + b"host: 127.0.0.1\r\n", LINE + HEAD + b"content-length: 1000\r\n\r\n{"],
    ids=["a head", "a body"],
)
def test_who_sends_drop_by_drop_is_cut(caller, nothing_happened, begun):
    began = time.monotonic()
    closed = False
    with socket.create_connection(("127.0.0.1", caller.web.port), timeout=1) as client:
        client.sendall(begun.replace(b"$KEY", caller.secret.encode()))
        while time.monotonic() - began < 60 and not closed:
            try:
                client.sendall(b"x")
                time.sleep(0.3)
                answer = client.recv(1000)
                closed = answer == b"" or b" 408 " in answer
            except TimeoutError:
                continue
            except OSError:
                closed = True

    assert closed
    assert math.ceil(time.monotonic() - began) < 60
