"""The last step before a child becomes the program it should be; also how to ask for it.

Run as a script by a bare interpreter, it ties the child's life to its parent's, takes root's rights away
where the program refuses them, and replaces itself by the program. A function run between fork and exec
(`preexec_fn`) could do the same, but is unsafe in a process with threads, which a test runner is.
"""

import argparse
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2


def launched(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    user: tuple[int, int] | None = None,
    directory: Path | None = None,
) -> list[str]:
    """The command line that runs `command` through this script.

    The child receives `death_signal` when the thread that started it dies, however it dies (Linux only).
    With `user` (uid, gid) it runs as that user and yet may read what root may read.
    """
    # -I -S: no site packages, no environment: starting the interpreter takes 10 ms instead of 30.
    line = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), f"--parent={os.getpid()}"]
    line.append(f"--death-signal={int(death_signal)}")
    if user is not None:
        line.append(f"--user={user[0]}:{user[1]}")
    if directory is not None:
        line.append(f"--directory={directory}")
    return [*line, "--", *map(str, command)]


def main(arguments: Sequence[str]) -> None:
    """Become the program; on failure say why and exit with 126."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--user")
    parser.add_argument("--directory")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)

    if options.user:
        uid, gid = map(int, options.user.split(":"))
        _become(uid, gid)
    # After the change of user, which clears it.
    _die_with_parent(options.parent, options.death_signal)
    _restore_signals()
    try:
        if options.directory:
            os.chdir(options.directory)
        os.execv(options.command[0], options.command)
    except OSError as error:
        place = error.filename or options.command[0]
        print(
            f"Cannot run {options.command[0]} as user {os.geteuid()}: {error.strerror}: {place}",
            file=sys.stderr,
        )
        raise SystemExit(126) from None


def _die_with_parent(parent: int, death_signal: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    _libc().prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    # The parent may have died before the call above.
    if os.getppid() != parent:
        raise SystemExit(126)


def _restore_signals() -> None:
    # What we ignore, the program would ignore too: the interpreter ignores SIGPIPE, and a shell without job
    # control starts its background commands with SIGINT and SIGQUIT ignored.
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _become(uid: int, gid: int) -> None:
    """Change the user for good, keeping of root's powers only that of reaching files.

    The clone, its virtual environment and the data may lie below a directory that only root may enter
    (/root, a 0700 home, a test's temporary directory). Opening those directories to everybody, as other
    solutions do, would be a change that nobody asked for. An ambient capability opens them to this process
    alone.
    """
    libc = _libc()
    linux = sys.platform.startswith("linux")
    if linux:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # access(2) forgets a non-root user's capabilities otherwise, and initdb asks it whether its sibling
        # `postgres` can be run: below /root it would say no, although starting it works.
        libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if linux:
        # Containers usually keep the second and drop the first. With neither the start may still succeed;
        # if not, the error of execv tells which path could not be reached.
        for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
            if _keep_only(libc, capability):
                break
        else:
            _set_capabilities(libc, 0)


def _keep_only(libc: ctypes.CDLL, capability: int) -> bool:
    kept = _set_capabilities(libc, 1 << capability)
    return kept and libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0


def _set_capabilities(libc: ctypes.CDLL, mask: int) -> bool:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Twice effective, permitted, inheritable: the lower 32 capabilities, then the upper ones.
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    result: int = libc.capset(header, data)
    return result == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main(sys.argv[1:])
