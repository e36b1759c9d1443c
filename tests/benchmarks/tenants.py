"""How long a tenant takes to make, and a schema in each of the three ways: `python -m tests.benchmarks.tenants`.

Runs on a PostgreSQL of its own that flushes to disk, in this process, without the start of Python and Django.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from deploy.local.testing import throwaway_services


def main() -> None:
    """Start the services, measure, print one line a way, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with throwaway_services(durable=True) as services:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "TEST_BEGINS_AS_TENANT_PLANE": "0",
            "LOCKSTEP_PLANE": "control",
            "DATABASE_URL": services.control_url,
            "CONTROL_DATABASE_URL": services.control_url,
            "VALKEY_URL": services.valkey_url,
        }
        figures = _measure(asked.rounds)
    if asked.json:
        print(json.dumps(figures))
        return
    for name, seconds in figures.items():
        print(
            f"{name:34} median {statistics.median(seconds) * 1000:7.0f} ms   worst {max(seconds) * 1000:7.0f} ms"
        )


def _measure(rounds: int) -> dict[str, list[float]]:
    import django

    django.setup()
    from django.db import connection
    from django_tenants.clone import CloneSchema

    from apps.tenancy import migrating, services

    figures = {"migrate public (once)": [_seconds(migrating.migrate_public)]}
    _sell_something()
    refs = [services.new_ref() for _ in range(rounds)]
    figures["schema by migrating"] = [
        _seconds(lambda ref=ref: services.make_schema(f"t_{ref}")) for ref in refs
    ]
    with services.in_public():
        cloner = CloneSchema()
        figures["schema by clone_schema()"] = [
            _seconds(
                lambda ref=ref: cloner.clone_schema(
                    f"t_{refs[0]}", f"c_{ref}", "NODATA", set_connection=False
                )
            )
            for ref in refs
        ]
    services.refill_spare_schemas(rounds)
    figures["tenant with a spare schema"] = [_seconds(_tenant_maker(f"spare{n}")) for n in range(rounds)]
    figures["tenant without a spare schema"] = [_seconds(_tenant_maker(f"late{n}")) for n in range(rounds)]
    connection.close()
    return figures


def _sell_something() -> None:
    """Plans to subscribe to: those of the demo, at providers that nobody calls here."""
    from django.conf import settings
    from django.utils import timezone

    from apps.billing import services as billing
    from apps.billing.catalogue.reading import read_catalogue
    from apps.governance.types import Actor
    from apps.tenancy.services import in_public

    def resolve(reference: str) -> str:
        return "http://127.0.0.1:1" if reference.endswith("_URL") else "no credential"

    text = (settings.BASE_DIR / "deploy" / "catalogues" / "demo.yaml").read_text(encoding="utf-8")
    now = timezone.now()
    with in_public():
        catalogue = read_catalogue(text, resolve=resolve, now=now)
        billing.apply_catalogue(catalogue, actor=Actor.system("benchmark"), now=now)


def _tenant_maker(slug: str) -> Callable[[], Any]:
    from django.utils import timezone

    from apps.billing import services as billing
    from apps.governance.types import Actor

    wanted = billing.Onboarding(
        slug=slug,
        name=slug,
        plan="starter",
        owner_email=f"owner@{slug}.example",
        actor=Actor.system("benchmark"),
        now=timezone.now(),
    )
    return lambda: billing.onboard_tenant(wanted)


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
