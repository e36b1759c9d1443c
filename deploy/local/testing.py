"""Services for tests: one PostgreSQL and one Valkey for a whole run, gone without a trace after it."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.local import roles
from deploy.local.background import running
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from deploy.local.roles import with_database
from deploy.local.secret_store import Secrets
from deploy.local.valkey import ValkeyServer


@dataclass(frozen=True)
class ThrowawayServices:
    """Addresses as plain text, so that `asdict` takes them to another process and `**` brings them back.

    control_url, tenant_url and superuser_url lead to the same database; see `at_database`.
    """

    control_url: str = field(repr=False)
    tenant_url: str = field(repr=False)
    superuser_url: str = field(repr=False)
    valkey_url: str = field(repr=False)
    directory: str

    def at_database(self, name: str) -> "ThrowawayServices":
        """The same services, with another database."""
        return replace(
            self,
            control_url=with_database(self.control_url, name),
            tenant_url=with_database(self.tenant_url, name),
            superuser_url=with_database(self.superuser_url, name),
        )

    def at_valkey(self, number: int) -> "ThrowawayServices":
        """The same services, with another of Valkey's numbered databases (0 to 63)."""
        return replace(self, valkey_url=f"{self.valkey_url.rsplit('/', 1)[0]}/{number}")

    def clone_database(self, template: str, name: str) -> "ThrowawayServices":
        """Make database `name` a copy of `template` (ending the connections to both) and go there."""
        roles.clone_database(with_database(self.superuser_url, "postgres"), template, name)
        return self.at_database(name)

    def drop_database(self, name: str) -> None:
        """Drop a database; nothing happens when there is none."""
        roles.drop_database(with_database(self.superuser_url, "postgres"), name)


@contextlib.contextmanager
def throwaway_services(*, durable: bool = False) -> Iterator[ThrowawayServices]:
    """Start both services with nothing in them but the roles and an empty database `lockstep`.

    Not durable: nothing is flushed to disk, which tests do not need; what is measured does.
    """
    secrets = Secrets()
    directory = Path(tempfile.mkdtemp(prefix="lockstep-"))
    postgres = PostgresServer(directory / "postgres", free_port(), secrets.postgres_password, durable=durable)
    valkey = ValkeyServer(directory / "valkey", free_port(), secrets.valkey_password, durable=durable)
    try:
        with (
            running(postgres, log=directory / "postgres.log"),
            running(valkey, log=directory / "valkey.log"),
        ):
            urls = roles.ensure_roles_and_database(
                postgres.url(),
                control_password=secrets.control_password,
                tenant_password=secrets.tenant_password,
            )
            yield ThrowawayServices(
                control_url=urls.control,
                tenant_url=urls.tenant,
                superuser_url=postgres.url(database=roles.DATABASE),
                valkey_url=valkey.url,
                directory=str(directory),
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)
