"""Fills the benchmark's database as the control plane: `python -m tests.benchmarks.preparing STEP ARGUMENTS`.

A process of its own, so that the benchmark itself holds no connection and no Django.
"""

import json
import sys
from typing import Any

import django

# So roomy that nothing is refused, but every limit is there and is counted.
LIMITS: dict[str, str | int] = {
    "requests_per_minute": 100_000_000,
    "tokens_per_minute": 1_000_000_000,
    "concurrent_calls": 50_000,
    "spend_per_day": "100000",
    "spend_per_month": "1000000",
}
KEY_LIMITS = {"requests_per_minute": 50_000_000, "tokens_per_minute": 900_000_000, "concurrent_calls": 40_000}


def catalogue(whole: str, streams: str) -> None:
    """The routes: one to the server of whole answers, one to each kind of stream."""
    from apps.ai_usage import credentials
    from apps.ai_usage.models import Credential, Provider
    from apps.tenancy import migrating, services
    from tests.factories.catalogue import COSTS, add_route

    migrating.migrate_public()
    addresses = {"whole": whole} | {kind: f"{streams}/{kind}" for kind in ("few", "fast", "slow")}
    with services.in_public():
        for name, address in addresses.items():
            provider = Provider.objects.create(name=name, dialect="openai", base_url=address)
            Credential.objects.create(
                provider=provider,
                source="env:BENCHMARK",
                ciphertext=credentials.encrypt(b"sk-benchmark", bound_to=f"provider:{provider.pk}"),
            )
            add_route(
                provider, name, COSTS["openai", "gpt-4o-mini"], served_as="gpt-4o-mini", first_byte_timeout=60
            )


def tenants(first: int, count: int) -> list[dict[str, Any]]:
    """Tenants with everything that can be limited, limited; each with one key."""
    return [_tenant(f"bench-{number}") for number in range(first, first + count)]


def _tenant(slug: str) -> dict[str, Any]:
    from apps.tenancy import services
    from tests.factories.keys import limits, make_key
    from tests.factories.tenants import make_tenant

    with services.in_public():
        tenant = make_tenant(slug, **LIMITS)
    with services.in_tenant(tenant):
        secret = make_key(limits=limits(**KEY_LIMITS)).secret
    return {"schema": tenant.schema, "secret": secret}


def keys(schema: str, count: int) -> list[str]:
    """More keys of one tenant that are really called with."""
    from apps.tenancy.selectors import tenant_by_ref
    from apps.tenancy.services import in_public, in_tenant
    from tests.factories.keys import limits, make_key

    with in_public():
        tenant = tenant_by_ref(schema.removeprefix("t_"))
    assert tenant is not None
    with in_tenant(tenant):
        return [make_key(name=f"k{number}", limits=limits(**KEY_LIMITS)).secret for number in range(count)]


def policies(schema: str) -> None:
    """Every rule, at the levels of operator, tenant and key, and none that refuses what the benchmark sends."""
    from apps.ai_usage.models import Provider
    from apps.keys.selectors import keys
    from apps.tenancy.selectors import tenant_by_ref
    from apps.tenancy.services import in_public, in_tenant
    from tests.factories.policies import save, set_bounds

    with in_public():
        Provider.objects.update(region="eu-west", retention_days=0, trains_on_data=False)
        tenant = tenant_by_ref(schema.removeprefix("t_"))
    assert tenant is not None
    rules = {
        "models": {"allow": ["whole", "f*", "slow"], "deny": ["*-preview"]},
        "providers": {"deny": ["nobody"]},
        "regions": {"allow": ["eu", "eu-*"]},
        "data_handling": {"max_retention_days": 30, "no_training": True},
        "max_output_tokens": 100_000,
        "tools": {"deny": ["web_search"]},
        "hours": {
            "zone": "Europe/Berlin",
            "windows": [
                {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "24:00"}
            ],
        },
    }
    with in_tenant(tenant):
        set_bounds(rules)
        save(rules)
        save(rules, "key", keys(limit=1)[0].id)


def main(step: str, arguments: list[str]) -> None:
    """Run one step and print what it made as JSON."""
    django.setup()
    made: Any = None
    if step == "catalogue":
        catalogue(*arguments)
    elif step == "tenants":
        made = tenants(*map(int, arguments))
    elif step == "keys":
        made = keys(arguments[0], int(arguments[1]))
    elif step == "policies":
        policies(arguments[0])
    else:
        raise SystemExit(f"There is no step {step}.")
    print(json.dumps(made))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
