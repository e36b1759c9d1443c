"""The server that used a data directory before: still stopping, dead, or somebody else's."""

from pathlib import Path

from deploy.local.errors import LocalServiceError
from deploy.local.processes import command_line, wait_until


def wait_for_previous_postmaster(data: Path, *, seconds: float) -> None:
    """Return when no server uses `data`; remove the mark that a killed one left behind.

    PostgreSQL trusts the process number in `postmaster.pid`. After a power cut another process may have it,
    and then the server refuses to start although nothing uses the data.
    """
    mark = data / "postmaster.pid"
    if not wait_until(lambda: not _is_used(data, mark), seconds=seconds):
        pid = _noted_pid(mark)
        raise LocalServiceError(
            f"A PostgreSQL server (process {pid}) still uses {data}; stop it with: kill -INT {pid}"
        )
    mark.unlink(missing_ok=True)


def _is_used(data: Path, mark: Path) -> bool:
    pid = _noted_pid(mark)
    if pid is None:
        return False
    command = command_line(pid)
    is_postmaster = bool(command) and Path(command[0]).name == "postgres" and str(data) in command
    return is_postmaster or _shared_memory_in_use(mark)


def _noted_pid(mark: Path) -> int | None:
    try:
        return abs(int(mark.read_text().split("\n", 1)[0]))
    except (FileNotFoundError, ValueError):
        # No number: it was killed while writing its first line.
        return None


def _shared_memory_in_use(mark: Path) -> bool:
    """Whether server processes that outlived a killed postmaster are still on their way out."""
    try:
        segment = mark.read_text().splitlines()[6].split()[1]
        rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    except (FileNotFoundError, IndexError):
        return False
    # Columns: key, shmid, perms, size, creator's pid, last pid, number of attached processes.
    return any(row.split()[1] == segment and row.split()[6] != "0" for row in rows)
