"""Makes the database that every test worker's is cloned from: migrated, with spare schemas and two tenants."""

import sys

import django


def main(spares: int) -> None:
    django.setup()
    from apps.tenancy import migrating, services
    from tests.factories.tenants import make_first_tenants

    migrating.migrate_public()
    with services.in_public():
        make_first_tenants()
    services.refill_spare_schemas(spares)


if __name__ == "__main__":
    main(int(sys.argv[1]))
