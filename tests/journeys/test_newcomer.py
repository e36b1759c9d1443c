"""From a clone to an exact line on an invoice, as somebody who has never seen the project."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import anthropic
import openai
import psutil
import pytest
import requests

pytestmark = pytest.mark.journey


def wait_until(true, seconds=40):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.3)


def caught_up(newcomer, slug) -> Decimal:
    """What the draft invoice has of usage, once it has all that the ledger has."""

    def ledger() -> Decimal:
        totals = newcomer.get(slug, "/api/v1/usage").json()["totals"]
        return Decimal(totals[0]["price"]) if totals else Decimal(0)

    wait_until(lambda: newcomer.usage_on_invoice(slug) == ledger())
    return newcomer.usage_on_invoice(slug)


def test_the_screen_names_the_way_in_and_its_curl_works(newcomer):
    screen = newcomer.screen
    for url in (newcomer.run["urls"]["operator"], newcomer.tenant("acme")["url"]):
        assert url in screen
    command = re.search(r"curl (?:.*\\\n)+.*'", screen)
    assert command, screen
    if shutil.which("curl"):
        said = subprocess.run(["sh", "-c", command[0]], capture_output=True, text=True, timeout=60)
        assert '"choices"' in said.stdout, said.stdout + said.stderr


def test_a_call_by_each_sdk_becomes_an_exact_line_on_the_invoice(newcomer):
    since = newcomer.simulator.last_seq()
    before = caught_up(newcomer, "acme")

    answer = openai.OpenAI(
        api_key=newcomer.secret("acme"), base_url=newcomer.run["urls"]["api"]
    ).chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "One line, please."}]
    )
    message = anthropic.Anthropic(
        api_key=newcomer.secret("acme"), base_url=newcomer.run["urls"]["web"]
    ).messages.create(
        model="claude-haiku-4-5", max_tokens=40, messages=[{"role": "user", "content": "And another."}]
    )

    assert answer.usage and message.usage
    served = newcomer.simulator.settled(since=since)
    assert len(served) == 2
    calls = newcomer.get("acme", "/api/v1/calls").json()["data"][:2]
    expected = sum(Decimal(call["price"]) for call in calls)
    assert expected > 0
    wait_until(lambda: newcomer.usage_on_invoice("acme") - before == expected)


def test_a_background_response_is_made_by_a_worker_and_stands_in_the_same_ledger(newcomer):
    client = openai.OpenAI(api_key=newcomer.secret("acme"), base_url=newcomer.run["urls"]["api"])
    since = newcomer.simulator.last_seq()

    response = client.responses.create(model="gpt-4o-mini", input="Take your time.", background=True)
    assert response.status == "queued"
    wait_until(lambda: client.responses.retrieve(response.id).status not in ("queued", "in_progress"))

    done = client.responses.retrieve(response.id)
    assert (done.status, bool(done.output_text)) == ("completed", True)
    (served,) = newcomer.simulator.settled(since=since)
    call = newcomer.get("acme", "/api/v1/calls").json()["data"][0]
    assert (call["endpoint"], call["output_tokens"]) == ("responses", served["usage"]["output_tokens"])


def test_the_owner_signs_in_and_sees_the_call(newcomer):
    acme = newcomer.tenant("acme")
    host = acme["url"].removeprefix("http://")
    browser = requests.Session()
    browser.headers["host"] = host
    base = newcomer.run["urls"]["web"]

    page = browser.get(f"{base}/accounts/login/", timeout=30)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    # The cookie jar goes by the address it talked to, which here is not the name in the Host header.
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)
    signed_in = browser.post(
        f"{base}/accounts/login/",
        data={
            "csrfmiddlewaretoken": token,
            "login": acme["owner"]["email"],
            "password": acme["owner"]["password"],
        },
        headers={"cookie": cookies, "referer": f"http://{host}/accounts/login/", "origin": f"http://{host}"},
        allow_redirects=False,
        timeout=30,
    )
    assert signed_in.status_code == 302, signed_in.text[:2000]
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)
    for path, expected in (
        ("/", "gpt-4o-mini"),
        ("/calls/", "gpt-4o-mini"),
        ("/keys/", "demo"),
        ("/invoices/", "USD"),
    ):
        page = browser.get(f"{base}{path}", headers={"cookie": cookies}, timeout=30)
        assert page.status_code == 200, (path, page.status_code)
        assert expected in page.text or "$" in page.text, path


def test_provider_ledger_and_invoice_agree_to_the_last_digit_after_a_mixed_load_on_two_tenants(newcomer):
    newcomer.simulator.reset()
    since = newcomer.simulator.last_seq()
    began = {slug: caught_up(newcomer, slug) for slug in ("acme", "globex")}
    newcomer.simulator.add_fault({"status": 503}, match={"model": "gpt-4o-mini"}, probability=0.15, seed=3)
    newcomer.simulator.add_fault({"between_chunks_ms": 5}, match={"stream": True}, probability=0.5, seed=4)
    ids: dict[str, set[str]] = {"acme": set(), "globex": set()}
    lock = threading.Lock()

    def one(number: int) -> None:
        slug = ("acme", "globex")[number % 2]
        kind = number % 5
        if kind == 0:
            answer = newcomer.chat(slug, stream=True)
            for _ in answer.iter_content(256):
                pass
        elif kind == 1:
            answer = newcomer.chat(slug, stream=True, stream_options={"include_usage": True})
            next(answer.iter_content(16), None)
            answer.close()  # hangs up in the middle
        elif kind == 2:
            answer = newcomer.chat(slug, model="no-such-model")
            assert answer.status_code == 404
        elif kind == 3:
            answer = newcomer.chat(slug, messages="not a list")
            assert answer.status_code == 400
        else:
            answer = newcomer.chat(slug)
        with lock:
            ids[slug].add(answer.headers.get("x-lockstep-call-id", ""))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(60)))
    served = newcomer.simulator.settled(since=since)

    assert len(served) > 20
    prices = {}
    for slug in ("acme", "globex"):
        calls = [call for call in every_call(newcomer, slug) if call["id"] in ids[slug]]
        prices[slug] = sum((Decimal(call["price"]) for call in calls), Decimal(0))
    rates = {"acme": Decimal("1.1"), "globex": Decimal("1.2")}  # cost plus the plan's markup
    billed = {slug: Decimal(0) for slug in rates}
    events = {}
    for slug in rates:
        for call in every_call(newcomer, slug):
            if call["id"] in ids[slug]:
                detail = newcomer.get(slug, f"/api/v1/calls/{call['id']}").json()
                for attempt in detail["attempts"]:
                    events[attempt["provider_request_id"]] = slug
    for entry in served:
        slug = events[entry["request_id"]]
        usage = entry["usage"]
        cost = Decimal(usage["prompt_tokens"]) * Decimal("0.15") + Decimal(
            usage["completion_tokens"]
        ) * Decimal("0.60")
        billed[slug] += cost * rates[slug] / 1_000_000
    assert prices == billed
    for slug in rates:
        wait_until(lambda slug=slug: newcomer.usage_on_invoice(slug) - began[slug] == billed[slug])
        usage = newcomer.get(slug, "/api/v1/usage").json()
        assert Decimal(usage["totals"][0]["price"]) == newcomer.usage_on_invoice(slug)
    newcomer.simulator.reset()


def every_call(newcomer, slug):
    cursor, calls = "", []
    while True:
        page = newcomer.get(slug, f"/api/v1/calls?limit=100{cursor}").json()
        calls += page["data"]
        if not page.get("next_cursor"):
            return calls
        cursor = f"&cursor={page['next_cursor']}"


def test_lower_limits_and_suspension_refuse_the_next_call_with_a_reason(newcomer):
    assert newcomer.chat("globex").status_code == 200
    catalogue = newcomer.clone.parent / "lower.yaml"
    exported = newcomer.manage("catalogue", "export")
    starter = exported.index("name: starter")
    lowered = exported[:starter] + re.sub(
        r"spend_per_month: '?[\d.]+'?", "spend_per_month: '0.00'", exported[starter:], count=1
    )
    catalogue.write_text(lowered)
    newcomer.manage("catalogue", "apply", str(catalogue))

    refused = newcomer.chat("globex")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert refused.headers["x-lockstep-limit"] == "tenant.spend_per_month"

    newcomer.manage("tenant", "suspend", "globex", "--reason", "Unpaid since June.")
    suspended = newcomer.chat("globex")
    assert suspended.status_code == 403
    assert "Unpaid since June." in suspended.json()["error"]["message"]
    newcomer.manage("tenant", "resume", "globex", "--reason", "Paid.")
    catalogue.write_text(exported)
    newcomer.manage("catalogue", "apply", str(catalogue))
    assert newcomer.chat("globex").status_code == 200


def test_a_tenant_is_made_while_the_system_runs_and_its_host_answers(newcomer):
    newcomer.manage(
        "tenant",
        "create",
        "initech",
        "--name",
        "Initech",
        "--plan",
        "starter",
        "--owner",
        "bill@initech.example",
    )

    page = requests.get(
        f"{newcomer.run['urls']['web']}/accounts/login/",
        headers={"host": f"initech.localhost:{newcomer.port}"},
        timeout=30,
    )
    unknown = requests.get(
        f"{newcomer.run['urls']['web']}/accounts/login/",
        headers={"host": f"umbrella.localhost:{newcomer.port}"},
        timeout=30,
    )

    assert page.status_code == 200
    assert unknown.status_code == 404
    assert "initech" not in unknown.text


def test_stopping_leaves_no_process_and_a_second_start_has_the_same_data(newcomer):
    pids = newcomer.run["pids"]
    secret = newcomer.secret("acme")
    known = len(every_call(newcomer, "acme"))

    # make itself dies of the interrupt, unless who started these tests ignores it, as a shell's background job does.
    assert newcomer.down() in (0, -signal.SIGINT)
    assert "Stopped." in newcomer.screen
    assert not (newcomer.home / "run.json").exists()
    assert [name for name, pid in pids.items() if psutil.pid_exists(pid)] == []
    mine = [
        p.pid
        for p in psutil.process_iter(["environ"])
        if (p.info["environ"] or {}).get("LOCKSTEP_HOME") == str(newcomer.home)
    ]
    assert [pid for pid in mine if pid != os.getpid()] == []

    newcomer.up()
    assert newcomer.secret("acme") == secret
    assert len(every_call(newcomer, "acme")) == known
    assert newcomer.chat("acme").status_code == 200
