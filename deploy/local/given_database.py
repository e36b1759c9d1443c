"""A PostgreSQL that the user gives with DATABASE_URL, in place of the embedded one."""

import psycopg
from psycopg import errors, sql

from deploy.local.errors import LocalServiceError
from deploy.local.roles import (
    TENANT_ROLE,
    DatabaseUrls,
    grant_tenant_role,
    restrict_database,
    with_credentials,
)

_OLDEST = 16


def prepare_given_database(owner_url: str, *, tenant_password: str) -> DatabaseUrls:
    """Add the tenant plane's role to the database of `owner_url`; say what to create where we may not."""
    try:
        with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as connection:
            _check_version(connection)
            tenant_url = with_credentials(_address_of(connection, owner_url), TENANT_ROLE, tenant_password)
            _prepare(connection, tenant_password)
            _check_tenant_password(tenant_url)
    except psycopg.OperationalError as error:
        raise LocalServiceError(
            f"DATABASE_URL does not lead to a PostgreSQL server: {_first_line(error)}"
        ) from None
    return DatabaseUrls(control=owner_url, tenant=tenant_url)


def check_given_database(url: str, *, variable: str) -> None:
    """Refuse an address, given in `variable`, behind which nothing answers."""
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        raise LocalServiceError(
            f"{variable} does not lead to a PostgreSQL server: {_first_line(error)}"
        ) from None


def _check_version(connection: psycopg.Connection) -> None:
    version = connection.info.server_version // 10_000
    if version < _OLDEST:
        raise LocalServiceError(
            f"DATABASE_URL leads to PostgreSQL {version}; Lockstep needs {_OLDEST} or newer."
        )


def _address_of(connection: psycopg.Connection, url: str) -> str:
    if "://" in url:
        return url
    raise LocalServiceError(
        f"DATABASE_URL must be a URL (postgresql://user:password@{connection.info.host}:{connection.info.port}/"
        f"{connection.info.dbname}), not a list of parameters."
    )


def _prepare(connection: psycopg.Connection, tenant_password: str) -> None:
    try:
        # A role that exists keeps its password. Roles belong to the whole server: setting it could lock out
        # another Lockstep there.
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [TENANT_ROLE]).fetchone():
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN NOINHERIT PASSWORD {}").format(
                    sql.Identifier(TENANT_ROLE), sql.Literal(tenant_password)
                )
            )
            grant_tenant_role(connection, to=connection.info.user)
        restrict_database(connection)
    except errors.InsufficientPrivilege:
        raise LocalServiceError(_what_to_create(connection)) from None


def _check_tenant_password(tenant_url: str) -> None:
    try:
        psycopg.connect(tenant_url, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        raise LocalServiceError(
            f"The role {TENANT_ROLE} on the server of DATABASE_URL could not sign in ({_first_line(error)}); "
            "it was not made by this home. Give both addresses: CONTROL_DATABASE_URL (the owner's) and "
            f"DATABASE_URL=postgresql://{TENANT_ROLE}:PASSWORD@HOST:PORT/DATABASE."
        ) from None


def _what_to_create(connection: psycopg.Connection) -> str:
    user, database = connection.info.user, connection.info.dbname
    return (
        f"The user {user} of DATABASE_URL may not prepare the database {database}. Let an administrator run\n"
        f"this in it, then give CONTROL_DATABASE_URL (user {user}) and DATABASE_URL (user {TENANT_ROLE}):\n"
        f"    CREATE ROLE {TENANT_ROLE} LOGIN NOINHERIT PASSWORD '…';\n"
        f'    GRANT {TENANT_ROLE} TO "{user}" WITH INHERIT FALSE, SET TRUE;\n'
        f'    ALTER DATABASE "{database}" OWNER TO "{user}";\n'
        f'    REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;\n'
        f'    GRANT CONNECT ON DATABASE "{database}" TO {TENANT_ROLE};\n'
        "    REVOKE ALL ON SCHEMA public FROM PUBLIC;\n"
        f"    GRANT USAGE ON SCHEMA public TO {TENANT_ROLE};\n"
        "    CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;"
    )


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
