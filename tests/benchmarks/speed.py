"""Throughput, added latency and streams of two servers side by side, in alternating rounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks import load, machine
from tests.benchmarks.load import Result, quantile
from tests.benchmarks.system import Server


@dataclass
class Rounds:
    """What one server came to, round by round."""

    results: list[Result] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers a second in the middle round."""
        return median(each.per_second for each in self.results)

    @property
    def events_per_second(self) -> float:
        """Events a second in the middle round."""
        return median(each.events_per_second for each in self.results)

    @property
    def cpu_per_answer(self) -> float:
        """Seconds of processor time of the server for one answer."""
        return sum(self.cpu_seconds) / sum(len(each.latencies) for each in self.results)

    @property
    def cpu_per_event(self) -> float:
        """Seconds of processor time of the server for one event of a stream."""
        return sum(self.cpu_seconds) / sum(each.events for each in self.results)

    @property
    def busy(self) -> float:
        """The share of its core that the server used."""
        return sum(self.cpu_seconds) / sum(each.seconds for each in self.results)

    def latency(self, share: float) -> float:
        """A quantile of the time to the whole answer, in the middle round."""
        return median(quantile(each.latencies, share) for each in self.results)

    def first_byte(self, share: float) -> float:
        """A quantile of the time to a stream's first event, in the middle round."""
        return median(quantile(each.first_bytes, share) for each in self.results)


def side_by_side(
    servers: Sequence[Server], model: str, *, connections: int, seconds: float, rounds: int
) -> dict[str, Rounds]:
    """Give each server the same load in turn: A B A B, so that what else the machine does hits both."""
    measured = {server.name: Rounds() for server in servers}
    for server in servers:
        load.run(server.port, [server.request(model)], connections=connections, seconds=min(1.0, seconds))
    for _ in range(rounds):
        for server in servers:
            one_round(server, [server.request(model)], measured[server.name], connections, seconds)
    return measured


def one_round(
    server: Server, requests: Sequence[bytes], rounds: Rounds, connections: int, seconds: float
) -> None:
    """Measure one server once more."""
    before = machine.used_by(server.pid)
    rounds.results.append(load.run(server.port, requests, connections=connections, seconds=seconds))
    rounds.cpu_seconds.append(machine.used_by(server.pid).cpu_seconds - before.cpu_seconds)
