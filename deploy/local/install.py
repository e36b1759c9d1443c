"""Make `.venv` from a lock file, once per content of it. A script for whatever Python the user has.

python3 deploy/local/install.py run|test
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this script is where an older Python is told so)
    sys.exit(
        "Lockstep needs Python 3.11 or newer, and {} is {}.{}. Name another one, for example: "
        "make up PYTHON=python3.12".format(sys.executable, *sys.version_info[:2])
    )

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
# What is installed for tests contains, in the same versions, what is installed to run.
CONTAINS = {"run": ["run"], "test": ["test", "run"]}


def main(purpose: str) -> None:
    """Install what `purpose` (run or test) needs, unless it is there."""
    lock_file = ROOT / "requirements" / f"{purpose}.txt"
    # `make up` and `make test` may start at the same moment; the second waits and finds the work done.
    with open(lock_file) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_usable():
            _make_environment()
        if not _stamp(purpose).exists():
            _install(lock_file, purpose)


def _is_usable() -> bool:
    # An upgrade of the system's Python leaves an environment whose interpreter is gone.
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False).returncode == 0


def _make_environment() -> None:
    print(f"Making .venv with Python {sys.version.split()[0]} …", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    uv = shutil.which("uv")
    made = [uv, "venv", "--quiet", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
    if subprocess.run([*made, ENVIRONMENT], check=False).returncode != 0:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        sys.exit(
            "This Python cannot make virtual environments. On Debian and Ubuntu install python3-venv, "
            "or put uv on the PATH; then repeat the command."
        )


def _install(lock_file: Path, purpose: str) -> None:
    count = sum("==" in line for line in lock_file.read_text().splitlines())
    print(f"Installing {count} packages into .venv (once per lock file) …", flush=True)
    options: list[str | Path] = ["--quiet", "--require-hashes", "--only-binary", ":all:", "-r", lock_file]
    uv = shutil.which("uv")
    command: list[str | Path]
    if uv:
        command = [uv, "pip", "install", "--python", PYTHON, *options]
    else:
        command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *options]
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit(
            f"The packages of requirements/{lock_file.name} could not be installed (see above). Check the "
            "network, and that each package has a wheel for this platform and Python, then repeat."
        )
    for contained in CONTAINS[purpose]:
        _stamp(contained).touch()


def _stamp(purpose: str) -> Path:
    content = (ROOT / "requirements" / f"{purpose}.txt").read_bytes()
    return ENVIRONMENT / f"installed-{purpose}-{hashlib.sha256(content).hexdigest()[:16]}"


if __name__ == "__main__":
    if sys.argv[1:] not in (["run"], ["test"]):
        sys.exit(__doc__)
    main(sys.argv[1])
