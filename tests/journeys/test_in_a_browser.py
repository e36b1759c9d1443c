"""The portal and the operator admin as people use them: in a real browser, on the system that `make up` started."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.journey,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}"),
]
PASSPHRASE = "a long phrase of mine"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Not every machine resolves names below localhost by itself.
        arguments = ["--no-sandbox", "--host-resolver-rules=MAP *.localhost 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What browsers complain of: errors of scripts, things the Content-Security-Policy blocked, missing files."""
    heard: list[str] = []
    yield heard
    assert heard == []


@pytest.fixture
def open_page(chromium: Browser, complaints: list[str]) -> Iterator[Any]:
    """A page in a browser of its own, without cookies of another."""
    contexts = []

    def make(**options: Any) -> Page:
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on(
            "response",
            lambda got: complaints.append(f"{got.status} {got.url}") if got.status >= 500 else None,
        )
        return page

    yield make
    for context in contexts:
        context.close()


def enter_portal(page: Page, tenant: dict[str, Any]) -> None:
    """Sign in as the tenant's owner, with the keyboard alone."""
    page.goto(f"{tenant['url']}/members/")
    page.get_by_label("Email").press_sequentially(tenant["owner"]["email"])
    page.keyboard.press("Tab")
    page.keyboard.type(tenant["owner"]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{tenant['url']}/members/")


def enter_admin(page: Page, run: dict[str, Any]) -> None:
    """Sign in as the operator."""
    page.goto(f"{run['urls']['operator']}/")
    page.locator("input[name=username]").fill(run["operator"]["email"])
    page.locator("input[name=password]").fill(run["operator"]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{run['urls']['operator']}/")


def test_a_person_is_invited_comes_in_and_is_shut_out(newcomer: Any, open_page: Any) -> None:
    acme = newcomer.tenant("acme")
    owner, guest = open_page(), open_page()
    enter_portal(owner, acme)

    owner.get_by_role("button", name="Invite member").click()
    owner.get_by_label("E-mail").fill("nele@acme.example")
    owner.get_by_label("Name").fill("Nele Neu")
    owner.get_by_role("button", name="Send invitation").click()
    guest.goto(owner.locator("#invitation-link").inner_text())
    guest.locator("input[name=password1]").fill(PASSPHRASE)
    guest.locator("input[name=password2]").fill(PASSPHRASE)
    guest.get_by_role("button", name="Save the password").click()
    guest.wait_for_url(f"{acme['url']}/")
    expect(guest.get_by_role("heading", name="Overview")).to_be_visible()

    owner.goto(f"{acme['url']}/members/")
    owner.get_by_role("link", name="Nele Neu").click()
    owner.get_by_role("button", name="Remove", exact=True).click()
    owner.get_by_role("button", name="Remove Nele Neu").click()
    owner.wait_for_url(f"{acme['url']}/members/")
    guest.goto(f"{acme['url']}/members/")
    expect(guest).to_have_url(f"{acme['url']}/accounts/login/?next=%2Fmembers%2F")


def test_an_operator_suspends_a_tenant_and_its_people_see_why(newcomer: Any, open_page: Any) -> None:
    globex = newcomer.tenant("globex")
    desk, member = open_page(), open_page()
    enter_admin(desk, newcomer.run)
    enter_portal(member, globex)

    desk.goto(f"{newcomer.run['urls']['operator']}/tenancy/tenant/{globex['id']}/change/")
    desk.get_by_role("link", name="Suspend").click()
    desk.get_by_label("Reason").fill("The invoice of May is open.")
    desk.get_by_role("button", name="Suspend").click()
    expect(desk.get_by_text("globex is suspended from its next request on.")).to_be_visible()
    refused = newcomer.chat("globex")
    member.reload()

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "tenant_suspended")
    expect(member.get_by_role("alert")).to_contain_text("The invoice of May is open.")
    expect(member.get_by_role("button", name="Invite member")).to_have_count(0)

    desk.get_by_role("link", name="Resume").click()
    desk.get_by_label("Reason").fill("Paid.")
    desk.get_by_role("button", name="Resume").click()
    expect(desk.get_by_text("globex is served again from its next request on.")).to_be_visible()
    assert newcomer.chat("globex").status_code == 200
    desk.goto(f"{newcomer.run['urls']['operator']}/tenancy/tenant/{globex['id']}/show/audit/?action=tenant.")
    expect(desk.get_by_text("tenant.suspended")).to_be_visible()
    expect(desk.get_by_text("The invoice of May is open.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_room_is_wider_than_the_screen(newcomer: Any, open_page: Any, scheme: str, width: int) -> None:
    acme = newcomer.tenant("acme")
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    enter_portal(page, acme)

    for room in ("/", "/usage/", "/calls/", "/keys/", "/members/", "/members/sessions/", "/invoices/"):
        answer = page.goto(f"{acme['url']}{room}")
        assert answer is not None and answer.status == 200, room
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0, f"{room} is {wider} pixels wider than a screen of {width}"


@pytest.mark.parametrize("width", [390, 1280])
def test_every_room_of_the_operators_opens(newcomer: Any, open_page: Any, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 844})
    enter_admin(page, newcomer.run)

    rooms = page.locator("#nav-sidebar-apps a[href], nav a[href^='/']").evaluate_all(
        "links => [...new Set(links.map(link => link.getAttribute('href')))]"
    )

    assert len(rooms) > 12
    for room in rooms:
        answer = page.goto(f"{newcomer.run['urls']['operator']}{room}")
        assert answer is not None and answer.status == 200, room
