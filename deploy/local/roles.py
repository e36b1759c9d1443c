"""The two database roles, the product's database, and copies of it for tests."""

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

CONTROL_ROLE = "lockstep_control"
TENANT_ROLE = "lockstep_tenant"
DATABASE = "lockstep"


@dataclass(frozen=True)
class DatabaseUrls:
    """Where each plane connects."""

    control: str
    tenant: str


def ensure_roles_and_database(
    superuser_url: str, *, control_password: str, tenant_password: str, database: str = DATABASE
) -> DatabaseUrls:
    """Make the roles and the database where they are missing, and set the passwords. May be repeated."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        # The control role owns the database, and so the schema public; neither may make roles or databases.
        _ensure_role(connection, CONTROL_ROLE, control_password)
        _ensure_role(connection, TENANT_ROLE, tenant_password)
        grant_tenant_role(connection, to=CONTROL_ROLE)
        existing = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        if existing.fetchone() is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(database), sql.Identifier(CONTROL_ROLE)
                )
            )
    with psycopg.connect(with_database(superuser_url, database), autocommit=True) as connection:
        restrict_database(connection)
    return urls_of_roles(
        with_database(superuser_url, database),
        control_password=control_password,
        tenant_password=tenant_password,
    )


def urls_of_roles(url: str, *, control_password: str, tenant_password: str) -> DatabaseUrls:
    """The database of `url` as each of the two roles sees it."""
    return DatabaseUrls(
        control=with_credentials(url, CONTROL_ROLE, control_password),
        tenant=with_credentials(url, TENANT_ROLE, tenant_password),
    )


def grant_tenant_role(connection: psycopg.Connection, *, to: str) -> None:
    """Let `to` put on the tenant role with SET ROLE, without having its rights or limits otherwise."""
    connection.execute(
        sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(
            sql.Identifier(TENANT_ROLE), sql.Identifier(to)
        )
    )


def restrict_database(connection: psycopg.Connection) -> None:
    """Close the connection's database to PUBLIC, let the tenant role in to look, and add extensions."""
    name = sql.Identifier(connection.info.dbname)
    tenant = sql.Identifier(TENANT_ROLE)
    # PUBLIC's default right to temporary tables goes too: they could shadow real ones in a search path.
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, tenant))
    connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(tenant))
    # Constraints like "no two prices of a model are valid at once" need it.
    connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public")


def clone_database(superuser_url: str, template: str, name: str) -> None:
    """Make database `name` a copy of `template`, replacing a previous one; ends all connections to both."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        _drop_database(connection, name)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [template],
        )
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY OWNER {}").format(
                sql.Identifier(name), sql.Identifier(template), sql.Identifier(CONTROL_ROLE)
            )
        )
    # Privileges on the database itself are not part of the copy, those inside it are.
    with psycopg.connect(with_database(superuser_url, name), autocommit=True) as connection:
        restrict_database(connection)


def drop_database(superuser_url: str, name: str) -> None:
    """Drop a database and end its connections; nothing happens when there is none."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        _drop_database(connection, name)


def with_database(url: str, database: str) -> str:
    """The same address, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database, safe='')}"))


def with_credentials(url: str, user: str, password: str) -> str:
    """The same address, another user."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{address}"))


def database_of(url: str) -> str:
    """The database that a connection URL names."""
    return unquote(urlsplit(url).path.lstrip("/"))


def _ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    existing = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = sql.SQL("ALTER") if existing else sql.SQL("CREATE")
    connection.execute(
        sql.SQL(
            "{} ROLE {} LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD {}"
        ).format(verb, sql.Identifier(role), sql.Literal(password))
    )


def _drop_database(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
