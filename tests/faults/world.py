"""Who calls during a run: tenants whose plans are roomy, tight and narrow, with keys that have budgets of their own.

Run as a program under the control plane: `make` prints the world as JSON, `roll-up` brings the drafts up to the ledger.
"""

import json
import os
import sys
from decimal import Decimal
from pathlib import Path

import django

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
PLANS = ("roomy", "tight", "narrow")
# Of the second key of every tenant, a day; the first has what the tenant has.
KEY_BUDGET = {"roomy": "0.02", "tight": "0.005", "narrow": "5"}


def make() -> None:
    """Migrate, sell, and print tenants with their schemas and keys."""
    from django.utils import timezone

    from apps.billing import services
    from apps.billing.catalogue.reading import read_catalogue
    from apps.governance.types import Actor
    from apps.tenancy import migrating
    from apps.tenancy.services import in_public

    migrating.migrate_public()
    actor, now = Actor.system("faults"), timezone.now()
    with in_public():
        file = read_catalogue(
            CATALOGUE.read_text(encoding="utf-8"),
            resolve=lambda reference: os.environ.get(reference.partition(":")[2]),
            now=now,
        )
        services.apply_catalogue(file, actor=actor, now=now)
    tenants = []
    for plan in PLANS:
        with in_public():
            tenant = services.onboard_tenant(
                services.Onboarding(
                    slug=plan,
                    name=plan.title(),
                    plan=plan,
                    owner_email=f"owner@{plan}.example",
                    owner_password="correct horse battery staple",
                    actor=actor,
                    now=now,
                )
            )
        tenants.append({"id": str(tenant.id), "schema": tenant.schema, "plan": plan, "keys": _keys(tenant)})
    print(json.dumps(tenants))


def _keys(tenant):
    from django.db import transaction

    from apps.governance.models import Budget
    from apps.governance.services import announce_change
    from apps.governance.types import Actor
    from apps.keys import services as keys
    from apps.tenancy.services import in_tenant

    made = []
    with in_tenant(tenant):
        account = keys.create_service_account(actor=Actor.system("faults"), name="load")
        for number in range(2):
            issued = keys.issue_key(
                actor=Actor.system("faults"),
                name=f"key {number}",
                scopes=["inference:write"],
                service_account_id=account.id,
            )
            made.append({"id": str(issued.key.id), "owner": str(account.id), "secret": issued.secret})
        with transaction.atomic():
            amount = Decimal(KEY_BUDGET[tenant.slug])
            Budget.objects.create(level="key", subject_id=made[1]["id"], window="day", amount=amount)
            announce_change()
    return made


def roll_up() -> None:
    """Count what waits, for every tenant, as the billing worker does."""
    from django.utils import timezone

    from apps.billing import services
    from apps.tenancy.selectors import tenant_by_slug
    from apps.tenancy.services import in_public

    for plan in PLANS:
        with in_public():
            tenant = tenant_by_slug(plan)
        services.roll_up_tenant(tenant, now=timezone.now())


if __name__ == "__main__":
    django.setup()
    {"make": make, "roll-up": roll_up}[sys.argv[1]]()
