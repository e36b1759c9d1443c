"""Our one migration of dj-stripe's tables, and ours, say what the models say."""

import io

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from apps.tenancy.services import in_tenant
from tests.planes import control_plane


def test_no_model_has_moved_away_from_its_migrations(db):
    """A new release of dj-stripe that changes a model fails here, and is answered with another migration."""
    out = io.StringIO()

    with control_plane():
        try:
            call_command(
                "makemigrations", "billing", "djstripe", "--check", "--dry-run", stdout=out, skip_checks=True
            )
        except (SystemExit, CommandError):
            pytest.fail(out.getvalue())


def test_every_table_of_dj_stripe_is_there_and_only_in_public(acme):
    models = [
        model._meta.db_table
        for model in apps.get_app_config("djstripe").get_models(include_auto_created=True)
    ]

    with control_plane(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name LIKE 'djstripe%'"
        )
        found = cursor.fetchall()

    assert len(models) == 62
    assert sorted(found) == sorted(("public", name) for name in models)


def test_a_tenants_schema_has_at_most_forty_tables(acme):
    with control_plane(), in_tenant(acme), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = %s", (acme.schema,)
        )
        [(count,)] = cursor.fetchall()

    assert count <= 40
