"""What holds for every table: where it lives, how many there are, and that none points out of its schema."""

import io

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from apps.tenancy.grants import is_placed_in
from tests.planes import control_plane

OURS = [config for config in apps.get_app_configs() if config.name.startswith("apps.")]
MODELS = [model for config in OURS for model in config.get_models()]
# Operators in public, members in their tenant's schema: the same table in both, and so the sessions of each.
IN_BOTH = {"identity.User", "identity.Session"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_model_says_where_its_table_lives(model):
    schema = getattr(model, "schema", None)

    if model._meta.label in IN_BOTH:
        assert schema is None
    else:
        assert schema in {"public", "tenant"}


def test_a_tenants_schema_has_at_most_forty_tables(acme):
    with control_plane(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", (acme.schema,))
        (tables,) = cursor.fetchone()

    assert 0 < tables <= 40


def test_no_table_of_a_tenant_has_a_key_to_another_schema(acme):
    with control_plane(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid "
            "WHERE k.contype = 'f' AND k.connamespace = %s::regnamespace AND t.relnamespace <> k.connamespace",
            (acme.schema,),
        )

        assert cursor.fetchall() == []


def test_no_relation_of_a_tenants_model_leaves_its_schema():
    leaving = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models(include_auto_created=True)
        if is_placed_in(model, in_public=False)
        for field in model._meta.get_fields()
        if field.many_to_one and field.concrete and not is_placed_in(field.related_model, in_public=False)
    ]

    assert leaving == []


def test_tables_that_the_tenant_plane_shares_show_each_tenant_its_own_rows():
    """A public table with a tenant's id that `lockstep_tenant` may read is under row-level security."""
    open_to_all = {
        # Any worker may claim any tenant's ticket; tickets hold ids only.
        "jobs.WorkTicket",
        "jobs.Share",
        # Host → tenant has to be known before a tenant is in force.
        "tenancy.Domain",
    }

    found = {
        model._meta.label
        for model in MODELS
        if getattr(model, "schema", None) == "public"
        and getattr(model, "tenant_plane", "")
        and any(field.attname == "tenant_id" for field in model._meta.concrete_fields)
        and not getattr(model, "row_security", None)
    }

    assert found == open_to_all


def test_the_migrations_say_what_the_models_say(db):
    out = io.StringIO()

    with control_plane():
        try:
            call_command("makemigrations", "--check", "--dry-run", stdout=out, skip_checks=True)
        except (SystemExit, CommandError):
            pytest.fail(out.getvalue())


def test_every_listed_app_is_ours_or_known():
    assert {config.name for config in OURS} <= set(settings.INSTALLED_APPS)
