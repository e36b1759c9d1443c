"""The two database roles as the embedded server gives them, and cloned databases for tests."""

from collections.abc import Iterator
from dataclasses import asdict

import psycopg
import pytest
from psycopg import errors

from deploy.local import valkey
from deploy.local.testing import ThrowawayServices, throwaway_services


@pytest.fixture(scope="module")
def throwaway() -> Iterator[ThrowawayServices]:
    with throwaway_services() as services:
        with psycopg.connect(services.control_url) as control:
            control.execute("CREATE TABLE price AS SELECT 1 AS amount")
        yield services


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_the_control_role_owns_the_database_and_may_make_schemas(throwaway: ThrowawayServices) -> None:
    with psycopg.connect(throwaway.control_url) as control:
        control.execute("CREATE SCHEMA t_abcdefgh")
        control.execute("CREATE TABLE t_abcdefgh.call (id uuid)")
        control.rollback()

    owner = value(
        throwaway.control_url, "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'lockstep'"
    )

    assert owner == "lockstep_control"


@pytest.mark.parametrize("url", ["control_url", "tenant_url"])
def test_neither_role_has_power_over_the_server(throwaway: ThrowawayServices, url: str) -> None:
    rights = value(
        getattr(throwaway, url),
        "SELECT (rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, rolinherit)::text "
        "FROM pg_roles WHERE rolname = current_user",
    )

    assert rights == "(f,f,f,f,f,f)"


@pytest.mark.parametrize(
    "forbidden",
    [
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE price (amount int)",
        "SELECT * FROM price",
        "SET ROLE lockstep_control",
        "CREATE ROLE friend",
        "COPY (SELECT 1) TO PROGRAM 'id'",
    ],
)
def test_the_tenant_role_may_do_nothing_it_was_not_granted(
    throwaway: ThrowawayServices, forbidden: str
) -> None:
    with psycopg.connect(throwaway.tenant_url) as tenant, pytest.raises(errors.InsufficientPrivilege):
        tenant.execute(forbidden)


def test_the_control_role_may_put_on_the_tenant_role(throwaway: ThrowawayServices) -> None:
    with psycopg.connect(throwaway.control_url) as control:
        control.execute("SET ROLE lockstep_tenant")
        with pytest.raises(errors.InsufficientPrivilege):
            control.execute("SELECT * FROM price")


def test_a_clone_has_the_content_and_the_closed_doors_of_its_template(throwaway: ThrowawayServices) -> None:
    with psycopg.connect(throwaway.control_url, autocommit=True) as connected_to_the_template:
        connected_to_the_template.execute("SELECT 1")
        clone = throwaway.clone_database("lockstep", "worker_1")

    amount = value(clone.control_url, "SELECT amount FROM price")
    acl = value(clone.superuser_url, "SELECT datacl::text FROM pg_database WHERE datname = 'worker_1'")

    assert amount == 1
    assert acl == "{lockstep_control=CTc/lockstep_control,lockstep_tenant=c/lockstep_control}"
    with psycopg.connect(clone.tenant_url) as tenant, pytest.raises(errors.InsufficientPrivilege):
        tenant.execute("CREATE TEMPORARY TABLE price (amount int)")


def test_cloning_again_replaces_the_clone_while_somebody_uses_it(throwaway: ThrowawayServices) -> None:
    clone = throwaway.clone_database("lockstep", "worker_2")
    with psycopg.connect(clone.control_url, autocommit=True) as user:
        user.execute("DELETE FROM price")
        throwaway.clone_database("lockstep", "worker_2")

    count = value(clone.control_url, "SELECT count(*) FROM price")
    throwaway.drop_database("worker_2")
    left = value(throwaway.superuser_url, "SELECT count(*) FROM pg_database WHERE datname = 'worker_2'")

    assert (count, left) == (1, 0)


def test_addresses_travel_to_another_process_as_plain_text(throwaway: ThrowawayServices) -> None:
    handed = {name: str(text) for name, text in asdict(throwaway).items()}

    assert ThrowawayServices(**handed) == throwaway


def test_each_worker_can_have_a_valkey_database_of_its_own(throwaway: ThrowawayServices) -> None:
    numbers = [throwaway.at_valkey(number).valkey_url for number in (0, 63)]

    assert [valkey.answers(url) for url in numbers] == [True, True]
