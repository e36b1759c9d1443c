"""Make, change, suspend and delete tenants from the command line."""

import time
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from apps.billing import selectors, services
from apps.billing.management.saying import SayingCommand, add_action
from apps.governance import services as governance
from apps.tenancy import selectors as tenants
from apps.tenancy.types import TenantState

Said = tuple[list[str], Any]


class Command(SayingCommand):
    help = "Tenants: create, set-plan, suspend, resume, delete, list."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = add_action(
            actions, "create", "make a tenant and serve it; finishes one that a crash left half-made"
        )
        create.add_argument("slug")
        create.add_argument("--name", required=True)
        create.add_argument("--plan", required=True)
        create.add_argument("--owner", required=True, metavar="EMAIL")
        set_plan = add_action(actions, "set-plan", "change a tenant's plan from now on")
        set_plan.add_argument("slug")
        set_plan.add_argument("plan")
        for name, help in (
            ("suspend", "refuse a tenant's calls and changes from the next request on"),
            ("resume", "serve a suspended tenant again"),
            ("delete", "stop a tenant, write its last invoice, and erase its data after the grace time"),
        ):
            change = add_action(actions, name, help)
            change.add_argument("slug")
            change.add_argument("--reason", required=True)
            if name == "delete":
                change.add_argument("--grace-days", type=int, default=30, help="until the data is erased")
        add_action(actions, "list", "every tenant with its state and plan")

    def create(self, *, slug: str, name: str, plan: str, owner: str, **_: Any) -> Said:
        """create SLUG --name NAME --plan PLAN --owner EMAIL"""
        wanted = services.Onboarding(
            slug=slug, name=name, plan=plan, owner_email=owner, actor=self.actor(), now=timezone.now()
        )
        began = time.monotonic()
        tenant = services.onboard_tenant(wanted)
        took_ms = round((time.monotonic() - began) * 1000)
        host = tenants.primary_domain(tenant.id)
        said = [f"Tenant {tenant.slug} is ready on the plan {plan}, at {host}. {owner} owns it."]
        return said, {
            "id": tenant.id,
            "slug": slug,
            "state": tenant.state,
            "plan": plan,
            "host": host,
            "owner": owner,
            "took_ms": took_ms,
        }

    def set_plan(self, *, slug: str, plan: str, **_: Any) -> Said:
        """set-plan SLUG PLAN"""
        tenant = tenants.tenant_by_slug(slug)
        changed = services.set_plan(tenant, plan=plan, actor=self.actor(), now=timezone.now())
        said = (
            f"Tenant {slug} is on the plan {plan} from now on."
            if changed
            else f"Tenant {slug} is on {plan} already."
        )
        return [said], {"slug": slug, "plan": plan, "changed": changed}

    def suspend(self, *, slug: str, reason: str, **_: Any) -> Said:
        """suspend SLUG --reason REASON"""
        tenant = governance.suspend_tenant(tenants.tenant_by_slug(slug), reason=reason, actor=self.actor())
        return [f"Tenant {slug} is suspended: its next call is refused."], {
            "slug": slug,
            "state": tenant.state,
        }

    def resume(self, *, slug: str, reason: str, **_: Any) -> Said:
        """resume SLUG --reason REASON"""
        tenant = governance.resume_tenant(tenants.tenant_by_slug(slug), reason=reason, actor=self.actor())
        return [f"Tenant {slug} is served again."], {"slug": slug, "state": tenant.state}

    def delete(self, *, slug: str, reason: str, grace_days: int, **_: Any) -> Said:
        """delete SLUG --reason REASON [--grace-days DAYS]"""
        now = timezone.now()
        tenant = services.delete_tenant(
            tenants.tenant_by_slug(slug),
            reason=reason,
            grace=timedelta(days=grace_days),
            actor=self.actor(),
            now=now,
        )
        erased = now + timedelta(days=grace_days)
        said = f"Tenant {slug} is not served any more; its data is erased on {erased:%Y-%m-%d}."
        return [said], {"slug": slug, "state": tenant.state, "erased_at": erased.isoformat()}

    def list(self, **_: Any) -> Said:
        """list"""
        plans = selectors.tenants_by_plan()
        found = [
            {
                "id": tenant.id,
                "slug": tenant.slug,
                "name": tenant.name,
                "state": tenant.state,
                "plan": plans.get(tenant.id),
            }
            for tenant in tenants.all_tenants(*TenantState)
        ]
        said = [
            f"{row['slug']:<24} {row['state']:<13} {row['plan'] or '-':<16} {row['name']}" for row in found
        ]
        return said or [
            "There are no tenants yet. Make one: manage.py tenant create SLUG --name … --plan … --owner …"
        ], found
