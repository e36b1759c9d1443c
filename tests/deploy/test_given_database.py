"""A PostgreSQL that the user brings: prepared where we may, and exact instructions where we may not."""

from collections.abc import Iterator

import psycopg
import pytest

from deploy.local.errors import LocalServiceError
from deploy.local.given_database import prepare_given_database
from deploy.local.roles import with_credentials, with_database
from deploy.local.testing import ThrowawayServices, throwaway_services


@pytest.fixture(scope="module")
def server() -> Iterator[ThrowawayServices]:
    """A PostgreSQL in which nothing is Lockstep's."""
    with throwaway_services() as services:
        with psycopg.connect(with_database(services.superuser_url, "postgres"), autocommit=True) as admin:
            admin.execute("DROP DATABASE lockstep")
            admin.execute("DROP ROLE lockstep_control, lockstep_tenant")
        yield services


@pytest.fixture
def owner_url(server: ThrowawayServices) -> Iterator[str]:
    """A database that belongs to `alice`, who may make roles."""
    superuser = with_database(server.superuser_url, "postgres")
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute("CREATE ROLE alice LOGIN CREATEROLE PASSWORD 'wonder'")
        admin.execute("CREATE DATABASE shop OWNER alice")
        yield with_credentials(with_database(superuser, "shop"), "alice", "wonder")
        admin.execute("DROP DATABASE shop WITH (FORCE)")
        admin.execute("DROP ROLE alice")
        admin.execute("DROP ROLE IF EXISTS lockstep_tenant")


def test_an_owner_who_may_make_roles_gets_everything_prepared(owner_url: str) -> None:
    urls = prepare_given_database(owner_url, tenant_password="t3nant")

    with psycopg.connect(urls.tenant) as tenant:
        who = tenant.execute("SELECT current_user, current_database()").fetchone()
    with psycopg.connect(urls.control) as owner:
        owner.execute("CREATE TABLE public.price (amount int)")
        owner.execute("SET ROLE lockstep_tenant")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("SELECT * FROM price")

    assert urls.control == owner_url
    assert who == ("lockstep_tenant", "shop")


def test_preparing_again_changes_nothing(owner_url: str) -> None:
    first = prepare_given_database(owner_url, tenant_password="t3nant")

    second = prepare_given_database(owner_url, tenant_password="t3nant")

    assert second == first


def test_a_role_of_another_lockstep_keeps_its_password(owner_url: str) -> None:
    theirs = prepare_given_database(owner_url, tenant_password="theirs")

    with pytest.raises(LocalServiceError) as refused:
        prepare_given_database(owner_url, tenant_password="ours")

    assert "was not made by this home" in str(refused.value)
    with psycopg.connect(theirs.tenant) as tenant:
        assert tenant.execute("SELECT 1").fetchone() == (1,)


def test_without_the_right_to_make_roles_it_says_exactly_what_to_run(
    owner_url: str, server: ThrowawayServices
) -> None:
    superuser = with_database(server.superuser_url, "shop")
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute("ALTER ROLE alice NOCREATEROLE")

    with pytest.raises(LocalServiceError) as refused:
        prepare_given_database(owner_url, tenant_password="t3nant")

    said = str(refused.value)
    script = said[said.index("    CREATE ROLE") :]
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(script.replace("'…'", "'t3nant'"))
    assert prepare_given_database(owner_url, tenant_password="t3nant").control == owner_url
