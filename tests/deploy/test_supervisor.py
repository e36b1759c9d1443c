"""The supervisor with real processes: they start in order, and none is left behind however the end comes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.settings import ROOT
from tests.deploy.conftest import Eventually, is_running

Start = Callable[..., "Supervised"]


class Supervised:
    """The supervisor as a process of its own."""

    def __init__(self, directory: Path, scenario: str, command: list[str] | None = None) -> None:
        self.directory = directory
        driver = [sys.executable, "-m", "tests.deploy.supervised", str(directory), scenario]
        self.process = subprocess.Popen(
            command or driver,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell that started the tests in the background has SIGINT ignored, and make would keep it so.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def pid_of(self, name: str) -> int:
        return int((self.directory / f"{name}.pid").read_text())

    def stopped(self) -> list[str]:
        return (self.directory / "stopped").read_text().split()

    def any_left(self) -> bool:
        return any(is_running(int(path.read_text())) for path in self.directory.glob("*.pid"))

    def watchdog(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next(
            pid for pid in map(int, children) if "watchdog.py" in Path(f"/proc/{pid}/cmdline").read_text()
        )

    def finish(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=20)
        return self.process.returncode, output


@pytest.fixture
def start(tmp_path: Path, eventually: Eventually) -> Iterator[Start]:
    started: list[Supervised] = []

    def start_one(scenario: str, *, until: str = "ready", command: list[str] | None = None) -> Supervised:
        supervised = Supervised(tmp_path, scenario, command)
        started.append(supervised)
        eventually(lambda: (tmp_path / until).exists() or supervised.process.poll() is not None)
        return supervised

    yield start_one
    for supervised in started:
        supervised.process.kill()
        supervised.process.communicate()
        eventually(lambda: not supervised.any_left())  # noqa: B023 (called before the next round)


@pytest.mark.parametrize("asked_by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_youngest_first_and_ends_well(start: Start, asked_by: signal.Signals) -> None:
    system = start("polite")

    system.process.send_signal(asked_by)
    code, _ = system.finish()

    assert code == 0
    assert system.stopped() == ["third", "second", "first"]
    assert not system.any_left()


def test_what_does_not_stop_in_time_is_killed_with_its_children(start: Start, eventually: Eventually) -> None:
    system = start("deaf")
    eventually((system.directory / "grandchild.pid").exists)

    system.process.terminate()
    code, output = system.finish()

    assert code == 0
    assert "second did not stop within 1 seconds and is killed." in output
    assert not system.any_left()


def test_a_crash_is_told_with_the_last_words_and_stops_the_rest(start: Start) -> None:
    system = start("crash")

    (system.directory / "crash").touch()
    code, output = system.finish()

    assert code == 1
    assert "third ended with exit code 3, so everything else was stopped." in output
    assert "    ouch\n" in output
    assert system.stopped() == ["second", "first"]
    assert not system.any_left()


def test_a_program_that_is_not_ready_in_time_is_told_and_stops_the_rest(start: Start) -> None:
    system = start("unready")

    code, output = system.finish()

    assert code == 1
    assert "third was not ready after 0.5 seconds." in output
    assert "    thinking\n" in output
    assert system.stopped() == ["second", "first"]
    assert not system.any_left()


def test_a_signal_during_the_start_stops_what_has_started(start: Start) -> None:
    system = start("unready", until="second.pid")

    system.process.send_signal(signal.SIGINT)
    system.finish()

    assert system.stopped() == ["second", "first"]
    assert not system.any_left()


def test_nothing_is_left_when_the_supervisor_itself_is_killed(start: Start, eventually: Eventually) -> None:
    system = start("deaf")
    eventually((system.directory / "grandchild.pid").exists)

    system.process.kill()

    eventually(lambda: not system.any_left())
    assert "first" in system.stopped()


def test_polite_programs_end_even_when_the_watchdog_is_killed_too(
    start: Start, eventually: Eventually
) -> None:
    system = start("polite")

    os.kill(system.watchdog(), signal.SIGKILL)
    system.process.kill()

    eventually(lambda: not system.any_left())
    assert sorted(system.stopped()) == ["first", "second", "third"]


def test_nobody_reading_the_output_does_not_delay_the_stop(start: Start, eventually: Eventually) -> None:
    system = start("noisy")
    # 1.5 MB into a pipe of 64 KB that this test doesn't read.
    eventually((system.directory / "noise-written").exists)

    system.process.terminate()

    eventually(lambda: not system.any_left(), seconds=5)
    assert system.stopped() == ["third", "second", "first"]
    assert (system.directory / "logs" / "third.log").stat().st_size > 1_500_000


def test_each_line_is_shown_with_its_program_and_kept_in_its_log(start: Start) -> None:
    system = start("polite")

    system.process.terminate()
    _, output = system.finish()

    assert output.splitlines() == [
        "first      | first is up",
        "second     | second is up",
        "third      | third is up",
    ]
    assert (system.directory / "logs" / "second.log").read_text() == "second is up\n"


def test_an_interrupt_for_make_alone_stops_the_system(start: Start, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        f"up:\n\t@cd {ROOT} && exec {sys.executable} -m tests.deploy.supervised {tmp_path} polite\n"
    )
    system = start("polite", command=["make", "-f", str(tmp_path / "Makefile"), "up"])

    system.process.send_signal(signal.SIGINT)
    system.finish()

    assert system.stopped() == ["third", "second", "first"]
    assert not system.any_left()
