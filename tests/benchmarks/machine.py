"""The machine's two cores: one for what is measured, one for everything else; and what a process used of them."""

import os
import platform
import resource
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

MEASURED_CORE = 0
OTHER_CORE = 1
_MOST_FILES = 65_536


def settle_in() -> None:
    """Move this process, and so whatever it starts, to the other core; let it open many connections."""
    cores = os.sched_getaffinity(0)
    if not {MEASURED_CORE, OTHER_CORE} <= cores or shutil.which("taskset") is None:
        raise SystemExit("The benchmark needs Linux with the cores 0 and 1, and `taskset`.")
    os.sched_setaffinity(0, {OTHER_CORE})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def on_measured_core(command: Sequence[str]) -> list[str]:
    """The command line that runs a command on the core that is measured."""
    return ["taskset", "--cpu-list", str(MEASURED_CORE), *command]


@dataclass(frozen=True)
class Used:
    """What a process and its children have used, and hold."""

    cpu_seconds: float
    resident_bytes: int


def used_by(pid: int) -> Used:
    """What the process and its children have used until now."""
    root = psutil.Process(pid)
    processes = [root, *root.children(recursive=True)]
    times = [process.cpu_times() for process in processes]
    return Used(
        cpu_seconds=sum(each.user + each.system for each in times),
        resident_bytes=sum(process.memory_info().rss for process in processes),
    )


def describe() -> dict[str, object]:
    """What figures depend on, beside the code."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"
