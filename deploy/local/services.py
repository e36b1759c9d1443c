"""The database and Valkey of one local system: embedded, unless given."""

from dataclasses import dataclass

from deploy.local import valkey
from deploy.local.errors import LocalServiceError
from deploy.local.given_database import check_given_database, prepare_given_database
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from deploy.local.roles import DATABASE, DatabaseUrls, ensure_roles_and_database, urls_of_roles
from deploy.local.secret_store import Secrets
from deploy.local.settings import LocalSettings
from deploy.local.valkey import ValkeyServer


@dataclass(frozen=True)
class LocalServices:
    """Where the database and Valkey are, and the servers to start for that."""

    servers: list[PostgresServer | ValkeyServer]
    databases: DatabaseUrls
    valkey_url: str

    def prepare_database(self, secrets: Secrets) -> None:
        """Make roles and database in an embedded PostgreSQL that runs."""
        for server in self.servers:
            if isinstance(server, PostgresServer):
                ensure_roles_and_database(
                    server.url(),
                    control_password=secrets.control_password,
                    tenant_password=secrets.tenant_password,
                )


def prepare_services(settings: LocalSettings, secrets: Secrets) -> LocalServices:
    """Check what is given, and make what the embedded servers need before they start."""
    servers: list[PostgresServer | ValkeyServer] = []
    if settings.database_url is None:
        postgres = PostgresServer(settings.home / "postgres", free_port(), secrets.postgres_password)
        servers.append(postgres)
        databases = urls_of_roles(
            postgres.url(database=DATABASE),
            control_password=secrets.control_password,
            tenant_password=secrets.tenant_password,
        )
    else:
        databases = _given_databases(settings.database_url, settings.control_database_url, secrets)

    if settings.valkey_url is None:
        embedded = ValkeyServer(settings.home / "valkey", free_port(), secrets.valkey_password)
        servers.append(embedded)
        valkey_url = embedded.url
    else:
        valkey_url = settings.valkey_url
        if not valkey.answers(valkey_url):
            raise LocalServiceError(
                "VALKEY_URL does not lead to a Valkey server that answers; start it, or unset it."
            )

    for server in servers:
        server.prepare()
    return LocalServices(servers, databases, valkey_url)


def _given_databases(url: str, control_url: str | None, secrets: Secrets) -> DatabaseUrls:
    if control_url is None:
        return prepare_given_database(url, tenant_password=secrets.tenant_password)
    check_given_database(url, variable="DATABASE_URL")
    check_given_database(control_url, variable="CONTROL_DATABASE_URL")
    return DatabaseUrls(control=control_url, tenant=url)
