"""`make bench`: measure the gateway beside an application that does nothing, and leave the figures behind."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.home import make_home
from tests.benchmarks import curves, governance, machine, memory
from tests.benchmarks.curves import Point
from tests.benchmarks.peers import running_peers
from tests.benchmarks.report import Figure, Report, at_least, at_most
from tests.benchmarks.speed import side_by_side
from tests.benchmarks.system import Server, System, running_system
from tests.system import ROOT

PARTS = ("speed", "governance", "streams", "memory", "curves")


def main() -> None:
    """Run the parts that were asked for."""
    asked = _arguments()
    home = Path(asked.home)
    make_home(home)
    machine.settle_in()
    report = Report(machine.describe())
    print(f"One core for the gateway, one for everything else. Load average {report.machine['load_average']}")
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as made, ExitStack() as stack:
        directory = Path(made)
        # PostgreSQL runs as a user of its own where we are root.
        directory.chmod(0o755)
        system = stack.enter_context(running_system(directory))
        gateway, bare = stack.enter_context(system.gateway()), stack.enter_context(system.bare())
        if not system.upstream.nginx:
            report.say("There is no nginx here, so the upstream of whole answers is a Python server of ours.")
        if "speed" in asked.parts:
            _speed(report, [gateway, bare], asked)
            if asked.peers:
                _peers(report, system, gateway, home / "bench" / "peers", asked)
        if "governance" in asked.parts:
            for figure in governance.added(system, gateway, seconds=asked.seconds, rounds=asked.rounds):
                report.add("What governance adds", figure)
        if "streams" in asked.parts:
            _streams(report, [gateway, bare], asked)
        if "memory" in asked.parts:
            _memory(report, system, gateway, asked)
        if "curves" in asked.parts:
            _curves(report, system, gateway, asked)
    path = home / "bench" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    report.machine["load_average_after"] = machine.describe()["load_average"]
    report.write(path)
    print(f"\nWritten to {path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help="what to measure; everything if not said"
    )
    parser.add_argument(
        "--full", action="store_true", help="the sizes of the promises; takes an hour or more"
    )
    parser.add_argument(
        "--peers", action="store_true", help="install LiteLLM and Portkey's gateway, measure them too"
    )
    parser.add_argument("--rounds", type=int, default=4, help="how often each server has its turn")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a turn is")
    parser.add_argument("--home", default=str(ROOT / ".lockstep"), help="where figures and peers are kept")
    asked = parser.parse_args()
    asked.parts = asked.parts or list(PARTS)
    return asked


def _speed(report: Report, servers: Sequence[Server], asked: argparse.Namespace) -> None:
    title = "Whole answers"
    busy = side_by_side(servers, "whole", connections=32, seconds=asked.seconds, rounds=asked.rounds)
    ours, bare = busy["lockstep"], busy["bare"]
    report.add(
        title,
        Figure(
            "bare pass-through, 32 connections",
            bare.per_second,
            "requests/s",
            note=f"core {bare.busy:.0%} busy",
        ),
        Figure("gateway, 32 connections", ours.per_second, "requests/s", note=f"core {ours.busy:.0%} busy"),
        at_least("ratio to the bare pass-through", ours.per_second / bare.per_second, "", 0.30),
        Figure("ratio by processor time", bare.cpu_per_answer / ours.cpu_per_answer, ""),
        Figure("processor time a call, bare", bare.cpu_per_answer * 1e6, "µs"),
        Figure("processor time a call, gateway", ours.cpu_per_answer * 1e6, "µs"),
    )
    lone = side_by_side(servers, "whole", connections=1, seconds=asked.seconds, rounds=asked.rounds)
    ours, bare = lone["lockstep"], lone["bare"]
    for name, share, goal in (("p50", 0.50, 1.5), ("p99", 0.99, 5.0)):
        added = (ours.latency(share) - bare.latency(share)) * 1000
        note = f"{ours.latency(share) * 1000:.2f} ms against {bare.latency(share) * 1000:.2f} ms"
        report.add(title, at_most(f"added latency, 1 connection, {name}", added, "ms", goal, note))


def _peers(report: Report, system: System, gateway: Server, kept: Path, asked: argparse.Namespace) -> None:
    title = "Peers, without database and limits"
    kept.mkdir(parents=True, exist_ok=True)
    with running_peers(kept, system.directory, system.upstream) as (peers, missing):
        for note in missing:
            report.say(note)
        if not peers:
            return
        busy = side_by_side(
            [gateway, *peers], "whole", connections=32, seconds=asked.seconds, rounds=asked.rounds
        )
        lone = side_by_side([gateway, *peers], "whole", connections=1, seconds=asked.seconds, rounds=2)
        for name, rounds in busy.items():
            p50 = lone[name].latency(0.5) * 1000
            report.add(
                title,
                Figure(
                    f"{name}, 32 connections", rounds.per_second, "requests/s", note=f"p50 alone {p50:.2f} ms"
                ),
            )


def _streams(report: Report, servers: Sequence[Server], asked: argparse.Namespace) -> None:
    title = "Streams"
    lone = side_by_side(servers, "few", connections=1, seconds=asked.seconds, rounds=asked.rounds)
    ours, bare = lone["lockstep"], lone["bare"]
    added = (ours.first_byte(0.5) - bare.first_byte(0.5)) * 1000
    note = f"{ours.first_byte(0.5) * 1000:.2f} ms against {bare.first_byte(0.5) * 1000:.2f} ms"
    report.add(title, at_most("added time to first byte, p50", added, "ms", 1.5, note))
    many = side_by_side(servers, "fast", connections=16, seconds=asked.seconds, rounds=asked.rounds)
    ours, bare = many["lockstep"], many["bare"]
    report.add(
        title,
        Figure("bare, 16 streams", bare.events_per_second, "chunks/s", note=f"core {bare.busy:.0%} busy"),
        Figure("gateway, 16 streams", ours.events_per_second, "chunks/s", note=f"core {ours.busy:.0%} busy"),
        at_least("chunks a second of a core's time", 1 / ours.cpu_per_event, "chunks/s", 20_000),
    )


def _memory(report: Report, system: System, gateway: Server, asked: argparse.Namespace) -> None:
    title = "Memory"
    count, streams = (1_000_000, 10_000) if asked.full else (20_000, 500)
    growth = memory.growth(gateway, count=count)
    steps = ", ".join(f"{resident / 2**20:.1f}" for _, resident in growth.after)
    report.add(
        title,
        Figure(
            f"left behind by a request, of {count:,}", growth.bytes_per_request, "bytes", note=f"MB: {steps}"
        ),
    )
    # On a process that has seen streams before, so that what all streams share is not counted.
    memory.slow_streams(gateway, system.upstream.streams, count=20)
    held = memory.slow_streams(gateway, system.upstream.streams, count=streams)
    report.add(title, at_most(f"held by each of {streams:,} slow streams", held.kilobytes_each, "KB", 80))


def _curves(report: Report, system: System, gateway: Server, asked: argparse.Namespace) -> None:
    seconds = min(asked.seconds, 2.0)
    curve: Iterator[Point]
    for name, measure, sizes in (
        ("tenants", curves.over_tenants, (1, 10, 100, 1000) if asked.full else (1, 10, 20)),
        ("keys", curves.over_keys, (1, 100, 10_000, 100_000)),
        ("ledger rows", curves.over_ledger_rows, (1, 10**5, 10**6, 10**7) if asked.full else (1, 10**5)),
    ):
        curve = measure(system, gateway, sizes, seconds)
        for point in curve:
            note = f"{point.per_second:,.0f} requests/s, p99 {point.p99_milliseconds:.1f} ms"
            report.add(
                "Cost of a call as these grow",
                Figure(f"{name}: {point.size:,}", point.cpu_microseconds, "µs CPU", note=note),
            )


if __name__ == "__main__":
    main()
