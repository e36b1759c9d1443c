"""`make up`: the whole system on one machine, in the foreground."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from deploy.local.children import Children, lockstep_environment, service_program
from deploy.local.console import Console
from deploy.local.errors import LocalServiceError
from deploy.local.home import locked, make_home
from deploy.local.make import wish_of_make
from deploy.local.ports import require_free
from deploy.local.run_file import forget_previous_run, publish_run, published_environment
from deploy.local.secret_store import Secrets, load_secrets
from deploy.local.services import LocalServices, prepare_services
from deploy.local.settings import LocalSettings, process_environment
from deploy.local.supervisor import Supervisor
from deploy.local.welcome import welcome


class LocalSystem:
    """One run, from the services to the welcome screen."""

    def __init__(self, settings: LocalSettings, inherited: Mapping[str, str], console: Console) -> None:
        self._settings = settings
        self._inherited = inherited
        self._console = console
        self._logs = settings.home / "logs"
        self._supervisor = Supervisor(logs=self._logs, console=console)
        self._began = time.monotonic()

    def run(self) -> int:
        """Until somebody stops it or a part of it fails; the exit code."""
        home = self._settings.home
        # The processes of a run that was killed may still be on their way out.
        require_free(self._settings.ports, patience=10 if forget_previous_run(home) else 0)
        secrets = load_secrets(home)
        services = prepare_services(self._settings, secrets)
        environment = lockstep_environment(self._settings, secrets, services.databases, services.valkey_url)
        with published_environment(home, environment):
            return self._supervisor.run(
                lambda: self._start(services, secrets, environment),
                wish_to_stop=wish_of_make() if "MAKELEVEL" in self._inherited else lambda: False,
            )

    async def _start(self, services: LocalServices, secrets: Secrets, environment: Mapping[str, str]) -> None:
        inherited = {**self._inherited, **environment}
        await self._supervisor.start(*(service_program(server, inherited) for server in services.servers))
        await asyncio.to_thread(services.prepare_database, secrets)
        self._tell("PostgreSQL and Valkey answer")

        children = Children(self._settings, inherited)
        await asyncio.gather(
            self._supervisor.start(*children.simulators()), self._supervisor.finish(children.migrations())
        )
        self._tell("Every schema is up to date")
        demo = _read_demo(await self._supervisor.finish(children.bootstrap()))
        self._tell("Demo operator, catalogue and tenants are there")

        await self._supervisor.start(*children.servers())
        publish_run(
            self._settings.home,
            pids=self._supervisor.pids,
            urls=self._settings.urls,
            environment=environment,
            demo=demo,
        )
        seconds = time.monotonic() - self._began
        self._console.show(welcome(self._settings.urls, demo, logs=str(self._logs), seconds=seconds))

    def _tell(self, done: str) -> None:
        self._console.show(f"[{time.monotonic() - self._began:5.1f} s] {done}.")


def _read_demo(output: bytes) -> dict[str, Any]:
    try:
        # Whatever a library printed before it, the last line is the answer.
        demo: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise LocalServiceError(
            f"bootstrap_demo did not print its result as one line of JSON: {output[-500:]!r}"
        ) from None
    return demo


def main() -> int:
    """Run until stopped; the exit code."""
    inherited = process_environment()
    console = Console()
    try:
        settings = LocalSettings.read(inherited)
        make_home(settings.home)
        with locked(settings.home, doing="make up"):
            code = LocalSystem(settings, inherited, console).run()
        if code == 0:
            console.show("Stopped.")
        return code
    except LocalServiceError as error:
        console.show(f"\n{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        console.close()


if __name__ == "__main__":
    sys.exit(main())
