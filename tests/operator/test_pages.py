"""What operators see and change, and that all of it is written down."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.ai_usage.credentials import provider_secret
from apps.ai_usage.models import CostRate, Credential, Provider, Route, TenantDaily
from apps.governance.models import OperatorAuditEntry
from apps.governance.selectors import audit_log
from apps.identity import selectors
from apps.identity.models import User
from apps.jobs.models import TicketState, WorkTicket
from apps.operator_site.pages import OperatorPage
from apps.tenancy.models import Domain, Tenant
from apps.tenancy.selectors import tenant_by_slug
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef, TenantState
from tests.operator.conftest import browser, sign_in

EVERY_PAGE = sorted(model._meta.label_lower for model in admin.site._registry)


def _last() -> OperatorAuditEntry:
    return OperatorAuditEntry.objects.latest("sequence")


def _tenant_url(tenant: TenantRef, *more: str) -> str:
    return f"/tenancy/tenant/{tenant.id}/" + "".join(f"{part}/" for part in more)


def _url(name: str, *args: Any) -> str:
    return reverse(f"admin:{name}", urlconf="config.urls.operator", args=args)


@pytest.fixture
def openai(operator_plane: None) -> Provider:
    return Provider.objects.create(name="openai-test", dialect="openai", base_url="https://api.example/v1")


def test_every_page_is_ours_and_writes_down_what_it_changes() -> None:
    pages = admin.site._registry

    assert {type(page).__module__.split(".")[0] for page in pages.values()} == {"apps"}
    assert [model for model, page in pages.items() if not isinstance(page, OperatorPage)] == []
    for label in (
        "tenancy.tenant",
        "ai_usage.route",
        "ai_usage.credential",
        "identity.user",
        "jobs.workticket",
    ):
        assert label in EVERY_PAGE


@pytest.mark.parametrize("label", EVERY_PAGE)
def test_every_list_and_form_opens(desk: Client, acme: TenantRef, label: str) -> None:
    name = label.replace(".", "_")
    model = next(model for model in admin.site._registry if model._meta.label_lower == label)
    page = admin.site._registry[model]

    assert desk.get(_url(f"{name}_changelist"), {"q": "x"}).status_code == 200
    added = desk.get(_url(f"{name}_add")).status_code
    first = model._default_manager.first()

    assert added == (200 if getattr(page, "may_add", True) else 403)
    if first is not None:
        assert desk.get(_url(f"{name}_change", first.pk)).status_code == 200


def test_home_shows_revenue_cost_and_margin_by_tenant(
    desk: Client, acme: TenantRef, globex: TenantRef
) -> None:
    today = timezone.now().date()
    for tenant, cost, price in ((acme, "0.75", "1.00"), (globex, "2.10", "2.00")):
        TenantDaily.objects.create(
            tenant_id=tenant.id,
            day=today,
            model="m",
            currency="USD",
            calls=1234,
            input_tokens=1200,
            output_tokens=300,
            cost=Decimal(cost),
            price=Decimal(price),
        )

    home = desk.get("/")
    panel = next(each for each in home.context["panels"] if "panel-month" in each)

    assert "1,234" in panel and "2,468" in panel
    assert ">acme<" in panel and ">globex<" in panel
    assert ("25%" in panel.replace("25.0%", "25%") and "3,000" in panel) or "3K" in panel
    assert any("panel-tenants" in each for each in home.context["panels"])
    assert any("panel-tickets" in each for each in home.context["panels"])


def test_the_list_of_tenants_shows_what_each_has_spent(desk: Client, acme: TenantRef) -> None:
    TenantDaily.objects.create(
        tenant_id=acme.id, day=timezone.now().date(), model="m", currency="USD", price=Decimal("12.345")
    )

    page = desk.get("/tenancy/tenant/", {"q": "acm"}).content.decode()

    assert "12.35 USD" in page or "12.34 USD" in page
    assert "globex" not in page.split("<table", 1)[1]


def test_suspending_needs_a_reason_and_is_in_both_logs(desk: Client, operator: User, acme: TenantRef) -> None:
    url = _tenant_url(acme, "do", "suspend")

    refused = desk.post(url, {"reason": ""})
    done = desk.post(url, {"reason": "The invoice of May is open."})

    assert refused.status_code == 200
    assert (done.status_code, done["Location"]) == (302, _tenant_url(acme, "change"))
    assert tenant_by_slug("acme").state is TenantState.SUSPENDED
    with in_tenant(tenant_by_slug("acme")):
        entry = audit_log(limit=1)[0]
    assert (entry.action, entry.actor_kind, entry.actor_id) == (
        "tenant.suspended",
        "operator",
        str(operator.pk),
    )
    assert entry.details == {"reason": "The invoice of May is open."}
    assert (_last().action, _last().tenant_id) == ("tenant.suspended", acme.id)


def test_resuming_undoes_it_and_what_does_not_apply_is_not_there(desk: Client, acme: TenantRef) -> None:
    desk.post(_tenant_url(acme, "do", "suspend"), {"reason": "x"})

    assert desk.get(_tenant_url(acme, "do", "suspend")).status_code == 404
    assert desk.post(_tenant_url(acme, "do", "resume"), {"reason": "paid"}).status_code == 302

    assert tenant_by_slug("acme").state is TenantState.READY
    assert desk.get(_tenant_url(acme, "do", "resume")).status_code == 404


def test_deleting_needs_the_slug_typed_and_leaves_time(desk: Client, acme: TenantRef) -> None:
    url = _tenant_url(acme, "do", "delete")

    wrong = desk.post(url, {"reason": "asked", "confirmation": "globex", "grace_days": "30"})
    assert wrong.status_code == 200 and tenant_by_slug("acme").state is TenantState.READY
    desk.post(url, {"reason": "asked", "confirmation": "acme", "grace_days": "30"})

    row = Tenant.objects.get(pk=acme.id)
    assert row.state == "deleting"
    assert row.delete_after is not None
    assert timedelta(days=29) < row.delete_after - timezone.now() <= timedelta(days=30)


def test_a_tenant_is_neither_made_nor_destroyed_by_hand(desk: Client, acme: TenantRef) -> None:
    assert desk.get("/tenancy/tenant/add/").status_code == 403
    assert desk.post(_tenant_url(acme, "delete"), {"post": "yes"}).status_code == 403
    assert Tenant.objects.filter(pk=acme.id).exists()


def test_an_operator_reads_a_tenants_log_members_keys_and_entitlements(desk: Client, acme: TenantRef) -> None:
    desk.post(
        _tenant_url(acme, "do", "invite-owner"), {"email": "new@acme.example", "name": "", "reason": "lost"}
    )

    pages = {
        name: desk.get(_tenant_url(acme, "show", name))
        for name in ("audit", "members", "keys", "entitlements")
    }

    assert {name: page.status_code for name, page in pages.items()} == dict.fromkeys(pages, 200)
    assert "member.created" in pages["audit"].content.decode()
    assert "new@acme.example" in pages["members"].content.decode()
    assert desk.get(_tenant_url(acme, "show", "nothing")).status_code == 404


def test_inviting_an_owner_is_in_the_tenants_own_log(desk: Client, operator: User, acme: TenantRef) -> None:
    desk.post(
        _tenant_url(acme, "do", "invite-owner"), {"email": "new@acme.example", "name": "", "reason": "lost"}
    )

    with in_tenant(acme):
        made = selectors.member_by_email("new@acme.example")
        entry = audit_log(action="member.created", limit=1)[0]
    assert made is not None and (made.role, made.state) == ("owner", "invited")
    assert (entry.actor_kind, entry.actor_id) == ("operator", str(operator.pk))


def test_a_domain_is_stored_as_hosts_are_compared_and_one_stays_primary(
    desk: Client, acme: TenantRef, form_of: Callable[[str], dict[str, Any]]
) -> None:
    url = _tenant_url(acme, "change")
    sent = form_of(url)

    sent |= {
        "domains-TOTAL_FORMS": "2",
        "domains-1-domain": "Portal.ACME.example:443",
        "domains-1-tenant": str(acme.id),
        "domains-1-id": "",
    }
    done = desk.post(url, sent)
    assert done.status_code == 302
    assert list(Domain.objects.filter(tenant_id=acme.id).values_list("domain", "is_primary")) == [
        ("acme.localhost", True),
        ("portal.acme.example", False),
    ]
    assert _last().action == "tenant.domains_changed"

    sent = form_of(url)
    sent.pop("domains-0-is_primary")
    refused = desk.post(url, sent)
    assert refused.status_code == 200
    assert Domain.objects.get(tenant_id=acme.id, is_primary=True).domain == "acme.localhost"


def test_a_providers_secret_goes_in_and_never_comes_out(desk: Client, openai: Provider) -> None:
    done = desk.post(
        "/ai_usage/credential/add/", {"provider": str(openai.pk), "secret": "sk-very-secret-000"}
    )

    assert done.status_code == 302
    stored = Credential.objects.get(provider=openai)
    assert provider_secret(openai.pk, bytes(stored.ciphertext)) == "sk-very-secret-000"
    assert b"very-secret" not in bytes(stored.ciphertext)
    for path in (
        "/ai_usage/credential/",
        f"/ai_usage/credential/{stored.pk}/change/",
        "/governance/operatorauditentry/",
    ):
        page = desk.get(path)
        assert page.status_code == 200 and b"very-secret" not in page.content
    assert "very-secret" not in str(OperatorAuditEntry.objects.values_list("details", flat=True))
    changed = desk.post(f"/ai_usage/credential/{stored.pk}/change/", {"secret": "sk-other"})
    assert changed.status_code == 403
    assert Credential.objects.filter(provider=openai).count() == 1


def test_a_change_of_a_route_is_written_down_with_its_targets(desk: Client, openai: Provider) -> None:
    desk.post(
        "/ai_usage/route/add/",
        {
            "model": "m-public",
            "connect_timeout": "2",
            "first_byte_timeout": "30",
            "between_bytes_timeout": "60",
            "total_timeout": "600",
            "attempts": "3",
            "retry_seconds": "60",
            "max_output_tokens": "4096",
            "enabled": "on",
            "targets-TOTAL_FORMS": "1",
            "targets-INITIAL_FORMS": "0",
            "targets-0-provider": str(openai.pk),
            "targets-0-model": "m-1",
            "targets-0-priority": "1",
            "targets-0-weight": "1",
        },
    )

    route = Route.objects.get(model="m-public")
    assert [str(target) for target in route.targets.all()] == ["openai-test/m-1"]
    created, targets = OperatorAuditEntry.objects.filter(target_id=str(route.pk)).order_by("sequence")
    assert (created.action, created.details["changes"]["model"]) == ("route.created", "m-public")
    assert (targets.action, targets.details) == (
        "route.routetargets_changed",
        {"lines": [{"added": "openai-test/m-1"}]},
    )


def test_a_rate_is_succeeded_and_what_was_priced_stays_priced(desk: Client, openai: Provider) -> None:
    for name, cost in (("input", "1.00"), ("output", "4.00")):
        CostRate.objects.create(
            provider=openai,
            model="m-1",
            quantity_class=name,
            cost_per_million=Decimal(cost),
            valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        )

    said = {
        "provider": str(openai.pk),
        "model": "m-1",
        "quantity_class": "input",
        "service_tier": "default",
        "context_min": "0",
        "mode": "realtime",
        "region": "",
        "cost_per_million": "0.80",
        "fixed_price_per_million": "",
        "currency": "USD",
        "source": "price page",
    }
    done = desk.post(
        "/ai_usage/costrate/add/", {**said, "valid_from_0": "", "valid_from_1": "", "valid_from": ""}
    )

    assert done.status_code == 302, done.context["adminform"].form.errors
    old, new = CostRate.objects.filter(model="m-1", quantity_class="input").order_by("valid_from")
    assert (old.cost_per_million, new.cost_per_million) == (Decimal("1.00"), Decimal("0.80"))
    assert old.valid_to == new.valid_from and new.valid_to is None
    output = CostRate.objects.get(model="m-1", quantity_class="output")
    assert (output.cost_per_million, output.valid_to) == (Decimal("4.00"), None)
    assert _last().action == "costrate.succeeded"


def test_a_rate_is_neither_edited_nor_removed_nor_changed_for_the_past(
    desk: Client, openai: Provider
) -> None:
    rate = CostRate.objects.create(
        provider=openai,
        model="m-1",
        quantity_class="input",
        cost_per_million=Decimal("1"),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )

    edited = desk.post(f"/ai_usage/costrate/{rate.pk}/change/", {"cost_per_million": "0"})
    removed = desk.post(f"/ai_usage/costrate/{rate.pk}/delete/", {"post": "yes"})
    past = desk.post(
        "/ai_usage/costrate/add/",
        {
            "provider": str(openai.pk),
            "model": "m-1",
            "quantity_class": "input",
            "service_tier": "default",
            "context_min": "0",
            "mode": "realtime",
            "cost_per_million": "0",
            "currency": "USD",
            "valid_from": "2026-02-01 00:00:00",
        },
    )

    assert (edited.status_code, removed.status_code, past.status_code) == (403, 403, 200)
    rates = CostRate.objects.filter(provider=openai).values_list("cost_per_million", "valid_to")
    assert list(rates) == [(Decimal("1.000000"), None)]


def test_a_dead_ticket_is_tried_again(desk: Client) -> None:
    ticket = WorkTicket.objects.create(
        kind="billing.sync",
        queue="billing",
        state=TicketState.DEAD,
        attempts=5,
        last_error="TimeoutError: slow",
    )
    url = f"/jobs/workticket/{ticket.pk}/do/replay/"

    assert "TimeoutError: slow" in next(
        part for part in desk.get("/").context["panels"] if "panel-tickets" in part
    )
    assert desk.post(url).status_code == 302

    ticket.refresh_from_db()
    assert (ticket.state, ticket.attempts) == ("ready", 0)
    assert (_last().action, _last().target_id) == ("ticket.replayed", str(ticket.pk))
    assert desk.post(url).status_code == 404


def test_an_operator_makes_another_and_shuts_them_out(desk: Client, operator: User) -> None:
    made = desk.post(
        "/identity/user/add/",
        {"email": "New@platform.example", "name": "Nia", "password": "a phrase of theirs"},
    )

    assert made.status_code == 302
    other = User.objects.get(email="new@platform.example")
    assert other.is_operator and sign_in(browser(), other.email, "a phrase of theirs").status_code == 302
    assert "a phrase of theirs" not in str(OperatorAuditEntry.objects.values_list("details", flat=True))
    desk.post(f"/identity/user/{other.pk}/do/shut-out/", {"reason": "left"})
    assert sign_in(browser(), other.email, "a phrase of theirs").status_code == 200
    assert [entry.action for entry in OperatorAuditEntry.objects.filter(target_id=str(other.pk))][-1] == (
        "operator.shut_out"
    )
    weak = desk.post("/identity/user/add/", {"email": "x@platform.example", "name": "", "password": "short"})
    assert weak.status_code == 200 and not User.objects.filter(email="x@platform.example").exists()


def test_the_operators_own_log_cannot_be_changed(desk: Client) -> None:
    entry = _last()

    assert desk.get("/governance/operatorauditentry/add/").status_code == 403
    assert desk.post(f"/governance/operatorauditentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert desk.post(f"/governance/operatorauditentry/{entry.pk}/change/", {"action": "x"}).status_code == 403
    assert OperatorAuditEntry.objects.get(pk=entry.pk).action == entry.action
