"""`make reset`: delete the local data, after asking."""

import os
import shutil
import sys
from pathlib import Path

from deploy.local.errors import LocalServiceError
from deploy.local.home import MARK, locked
from deploy.local.settings import LocalSettings, process_environment


def reset(home: Path, *, ask: bool) -> str:
    """Delete the home; what was done, in a sentence."""
    if not home.exists():
        return f"There is no local data in {home}."
    if not (home / MARK).exists():
        raise LocalServiceError(
            f"{home} was not made by Lockstep (it has no file {MARK}), so it is not deleted. "
            "Check LOCKSTEP_HOME, or delete it yourself."
        )
    with locked(home, doing="make reset"):
        if ask and not _confirmed(home):
            return "Nothing was deleted."
        shutil.rmtree(home)
    return f"Deleted {home}. The next `make up` starts afresh."


def _confirmed(home: Path) -> bool:
    try:
        return input(f"Delete {home} with its database, logs and secrets? [y/N] ").strip().lower() in (
            "y",
            "yes",
        )
    except EOFError:
        print()
        return False


def main() -> int:
    """The command line; `FORCE=1` in the environment doesn't ask."""
    environment = process_environment()
    try:
        print(reset(LocalSettings.read(environment).home, ask=environment.get("FORCE") != "1"))
    except LocalServiceError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename} could not be deleted: {os.strerror(error.errno or 0)}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
