"""Make `.venv` from a lock file, once per content of it. A script for whatever Python the user has.

    python3 deploy/local/install.py run|test

pip installs uv, which installs the rest in seconds where pip takes a minute; where uv cannot, pip does it.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this script is where an older Python is told so)
    sys.exit(
        "Lockstep needs Python 3.11 or newer, and {} is {}.{}. Name another one, for example: "
        "make up PYTHON=python3.12".format(sys.executable, *sys.version_info[:2])
    )

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
# What is installed for tests contains, in the same versions, what is installed to run.
CONTAINS = {"run": ["run"], "test": ["test", "run"]}
# Compiled when first imported: most of it never is.
OPTIONS = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps", "-r"]
PIP = [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]
# Where pip was told to look for packages, in uv's words.
UV_NAMES = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}


def main(purpose: str) -> None:
    """Install what `purpose` (run or test) needs, unless it is there."""
    lock_file = _lock_file(purpose)
    # `make up` and `make test` may start at the same moment; the second waits and finds the work done.
    with open(lock_file) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_usable():
            _make_environment()
        if not _stamp(purpose).exists():
            _install(lock_file)
            for contained in CONTAINS[purpose]:
                _stamp(contained).touch()


def _is_usable() -> bool:
    # An upgrade of the system's Python leaves an environment whose interpreter is gone.
    return PYTHON.exists() and _succeeds([PYTHON, "-c", "import pip"])


def _make_environment() -> None:
    print(f"Making .venv with Python {sys.version.split()[0]} …", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    if not _succeeds([sys.executable, "-m", "venv", ENVIRONMENT]):
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        sys.exit(
            "This Python cannot make virtual environments. On Debian and Ubuntu install python3-venv; "
            "then repeat the command."
        )


def _install(lock_file: Path) -> None:
    count = sum("==" in line for line in lock_file.read_text().splitlines())
    print(f"Installing {count} packages into .venv (once per lock file) …", flush=True)
    if not _install_with_uv(lock_file) and not _succeeds(
        [*PIP, "install", "--no-compile", *OPTIONS, lock_file]
    ):
        sys.exit(
            f"The packages of requirements/{lock_file.name} could not be installed (see above). Check the "
            "network, and that each package has a wheel for this platform and Python, then repeat."
        )


def _install_with_uv(lock_file: Path) -> bool:
    uv = shutil.which("uv")
    if uv is None:
        if not _succeeds([*PIP, "install", "--no-compile", *OPTIONS, _lock_file("install")]):
            return False
        uv = str(ENVIRONMENT / "bin" / "uv")
    # The machine's own certificates, as pip has them: networks with a proxy of their own are common.
    names = ["UV_SYSTEM_CERTS=true", *(f"{name}={value}" for name, value in _package_sources().items())]
    # Like pip, it may take a package from any of the sources: the hashes say which file is the right one.
    options = ["--index-strategy", "unsafe-best-match", *OPTIONS]
    return _succeeds(["env", *names, uv, "pip", "install", "--python", PYTHON, *options, lock_file])


def _package_sources() -> dict[str, str]:
    configured = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False).stdout
    # Lines like global.index-url='https://…' or :env:.index-url='https://…'; the last of a name counts.
    found = dict(re.findall(r"^[:\w]+\.([\w-]+)='(.*)'$", configured, re.MULTILINE))
    return {UV_NAMES[name]: value for name, value in found.items() if name in UV_NAMES}


def _succeeds(command: list[str | Path]) -> bool:
    return subprocess.run(command, check=False).returncode == 0


def _lock_file(purpose: str) -> Path:
    return ROOT / "requirements" / f"{purpose}.txt"


def _stamp(purpose: str) -> Path:
    content = _lock_file(purpose).read_bytes()
    return ENVIRONMENT / f"installed-{purpose}-{hashlib.sha256(content).hexdigest()[:16]}"


if __name__ == "__main__":
    if sys.argv[1:] not in (["run"], ["test"]):
        sys.exit(__doc__)
    main(sys.argv[1])
