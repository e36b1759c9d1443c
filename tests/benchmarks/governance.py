"""What governance adds to a call: the same load on tenants that differ in one thing, served by one process in turn."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.benchmarks.report import Figure, at_most
from tests.benchmarks.speed import side_by_side
from tests.benchmarks.system import Server, System

# Numbers of tenants that no other part of the benchmark uses.
_FIRST_TENANT = 900_000


@dataclass(frozen=True)
class Variant:
    """A tenant with something switched on by a step of preparing.py, which takes its schema. The goal: ms at p50."""

    name: str
    step: str = ""
    goal: float = 0.0
    model: str = "whole"


# The first is what the others are compared with: everything limited, nothing else governed.
VARIANTS = (
    Variant("limits alone"),
    Variant("and policies at three levels", "policies", 0.3),
)


def added(system: System, gateway: Server, *, seconds: float, rounds: int) -> Iterator[Figure]:
    """Each variant's latency with one connection and its processor time with sixteen, less those of the first."""
    servers = []
    for number, variant in enumerate(VARIANTS):
        (tenant,) = system.more_tenants(_FIRST_TENANT + number, 1)
        if variant.step:
            system.prepare(variant.step, tenant["schema"])
        headers = gateway.headers | {"authorization": f"Bearer {tenant['secret']}"}
        servers.append(replace(gateway, name=variant.name, headers=headers))
    for model in dict.fromkeys(variant.model for variant in VARIANTS):
        alone = side_by_side(servers, model, connections=1, seconds=seconds, rounds=rounds)
        busy = side_by_side(servers, model, connections=16, seconds=seconds, rounds=rounds)
        base = VARIANTS[0].name
        before, cpu = alone[base].latency(0.5) * 1000, busy[base].cpu_per_answer * 1e6
        yield Figure(f"{base}, p50", before, "ms", note=f"{cpu:.0f} µs of processor time a call")
        for variant in VARIANTS[1:]:
            if variant.model == model:
                after = alone[variant.name].latency(0.5) * 1000
                more = busy[variant.name].cpu_per_answer * 1e6 - cpu
                note = f"{after:.3f} ms against {before:.3f} ms; {more:+.0f} µs of processor time a call"
                yield at_most(f"{variant.name}, added at p50", after - before, "ms", variant.goal, note)
