"""`python -m deploy.local.run -- COMMAND …`: a command with services of its own."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.errors import LocalServiceError
from deploy.local.secret_store import Secrets
from deploy.local.settings import process_environment
from deploy.local.testing import ThrowawayServices, throwaway_services

_USAGE = "Usage: python -m deploy.local.run -- COMMAND [ARGUMENT …]"


def service_environment(services: ThrowawayServices) -> dict[str, str]:
    """The variables by which the product finds these services."""
    secrets = Secrets()
    return {
        "DATABASE_URL": services.tenant_url,
        "CONTROL_DATABASE_URL": services.control_url,
        "SUPERUSER_DATABASE_URL": services.superuser_url,
        "VALKEY_URL": services.valkey_url,
        "LOCKSTEP_HOME": str(Path(services.directory) / "home"),
        "SECRET_KEY": secrets.secret_key,
        "KEY_PEPPER": secrets.key_pepper,
        "CREDENTIAL_KEY": secrets.credential_key,
        "AUDIT_SIGNING_KEYS": f"local:{secrets.audit_key}",
    }


def run(command: Sequence[str], inherited: Mapping[str, str]) -> int:
    """Run the command among throwaway services; its exit code."""
    with throwaway_services() as services:
        child = subprocess.Popen(command, env={**inherited, **service_environment(services)})
        # Ctrl-C reaches the child too, being in our group; SIGTERM doesn't. Either way we wait for its end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        code = child.wait()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        return run(command, process_environment())
    except FileNotFoundError as error:
        print(f"There is no command {error.filename}.", file=sys.stderr)
        return 127
    except LocalServiceError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
