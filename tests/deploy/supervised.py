"""A small local system for the supervisor's tests: `python -m tests.deploy.supervised DIRECTORY SCENARIO`.

Each program writes its process number to DIRECTORY/NAME.pid when it is up, and its name to DIRECTORY/stopped
when it is asked to stop.
"""

import re
import sys
from pathlib import Path
from typing import Any

from deploy.local.console import Console
from deploy.local.make import wish_of_make
from deploy.local.program import Program
from deploy.local.supervisor import Supervisor

_POLITE = "trap 'echo NAME >> stopped; exit 0' TERM"
_DEAF = "trap '' TERM"
_WAIT = "while :; do sleep 0.05; done"
_UP = "echo $$ > NAME.new; mv NAME.new NAME.pid; echo NAME is up"
_DEAF_GRANDCHILD = f"( {_DEAF}; sh -c 'echo $$ > grandchild.pid; {_WAIT}' ) &"
_CRASH_WHEN_TOLD = "until [ -e crash ]; do sleep 0.02; done; echo ouch; exit 3"
_MEGABYTES = "i=0; while [ $i -lt 3000 ]; do printf '%0500d\\n' 7; i=$((i+1)); done; touch noise-written"

SCENARIOS: dict[str, dict[str, dict[str, Any]]] = {
    "polite": {"second": {}, "third": {}},
    "deaf": {"second": {"trap": _DEAF}, "third": {"then": _DEAF_GRANDCHILD}},
    "crash": {"second": {}, "third": {"then": _CRASH_WHEN_TOLD}},
    "unready": {"second": {}, "third": {"trap": "echo thinking; sleep 60", "start_timeout": 0.5}},
    "noisy": {"second": {}, "third": {"then": _MEGABYTES}},
}


def program(directory: Path, name: str, *, trap: str = _POLITE, then: str = ":", **options: Any) -> Program:
    """A shell script under the supervisor."""
    return Program(
        name=name,
        command=["/bin/sh", "-c", "\n".join([trap, _UP, then, _WAIT]).replace("NAME", name)],
        environment={"PATH": "/usr/bin:/bin"},
        directory=directory,
        ready_line=re.compile("is up"),
        grace=1,
        **options,
    )


def main(directory: Path, scenario: str) -> int:
    """Start three programs, each when the one before is up, and then write DIRECTORY/ready."""
    console = Console()
    supervisor = Supervisor(logs=directory / "logs", console=console)

    async def body() -> None:
        await supervisor.start(program(directory, "first"))
        for name, variation in SCENARIOS[scenario].items():
            await supervisor.start(program(directory, name, **variation))
        (directory / "ready").touch()

    try:
        return supervisor.run(body, wish_to_stop=wish_of_make())
    finally:
        console.close()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
