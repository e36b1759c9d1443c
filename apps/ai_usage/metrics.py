"""The gateway's Prometheus metrics, per process; listed in docs/metrics.md.

A counter of prometheus_client costs 2 µs to count up and a histogram 3: too much, several times a call.
Here counting is adding to a number in a dict, and what is scraped is made of those numbers when somebody
scrapes. Only the event loop counts, so nothing is locked; a scrape from another thread reads copies.

Labels are bounded: endpoints, outcomes, providers and models of the catalogue. No tenant, no key: exact
figures of those come from SQL.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import (
    REGISTRY,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from apps.ai_usage.ledger.records import Record
from apps.governance.admission.engine import Counters

# A catalogue has tens of models with a handful of classes each; beyond this many, a label says `other`.
MOST_LABELS = 1000
OTHER = "other"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ADDED_SECONDS = (0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_BATCH_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500)

Label = tuple[str, ...]


class Distribution:
    """Values counted by size."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, documentation: str) -> HistogramMetricFamily:
        """What is scraped of it."""
        counts, total, buckets = self._counts.copy(), 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
            total += count
            buckets.append((bound, total))
        return HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=self._sum)


class Counted:
    """Numbers by labels that only grow, never of more labels than a scrape can carry."""

    __slots__ = ("_labels", "_values")

    def __init__(self, *labels: str) -> None:
        self._labels = labels
        self._values: dict[Label, int] = defaultdict(int)

    def add(self, label: Label, amount: int = 1) -> None:
        """Count up."""
        values = self._values
        if label not in values and len(values) >= MOST_LABELS:
            label = (OTHER,) * len(self._labels)
        values[label] += amount

    def family(self, name: str, documentation: str) -> CounterMetricFamily:
        """What is scraped of it."""
        made = CounterMetricFamily(name, documentation, labels=self._labels)
        for label, value in dict(self._values).items():
            made.add_metric(label, value)
        return made


class _Spool(Protocol):
    @property
    def waiting_bytes(self) -> int: ...


class _Recorder(Protocol):
    @property
    def spool(self) -> _Spool: ...
    @property
    def depth(self) -> int: ...


class _Engine(Protocol):
    def counters(self) -> Counters: ...


class _Breakers(Protocol):
    def open_targets(self) -> list[str]: ...


class _Pool(Protocol):
    def get_stats(self) -> Mapping[str, int]: ...


class Gateway(Protocol):
    """What is read of a running gateway when somebody scrapes; GatewayProcess is one."""

    @property
    def engine(self) -> _Engine: ...
    @property
    def recorder(self) -> _Recorder: ...
    @property
    def breakers(self) -> _Breakers: ...
    @property
    def pool(self) -> _Pool: ...
    @property
    def drains(self) -> int: ...


_calls = Counted("endpoint", "outcome")
_attempts = Counted("provider", "outcome")
_refusals = Counted("code")
_shadow = Counted("limit")
_tokens = Counted("model", "class")
_usage_sources = Counted("source")
_anomalies = Counted("anomaly")
_drains = Counted("outcome")
_shadow_refusals = Counted("level", "rule")
_content = Counted("outcome")
_blocked = Counted("direction", "class")
_found = Counted("direction", "class")
_uninspected = Counted("direction", "answer")
_cache = Counted("result")
_call_seconds = Distribution(_SECONDS)
_added_seconds = Distribution(_ADDED_SECONDS)
_first_byte_seconds = Distribution(_SECONDS)
_commit_seconds = Distribution(_COMMIT_SECONDS)
_batch_records = Distribution(_BATCH_RECORDS)


def observe_call(record: Record, *, seconds: float, added_seconds: float | None = None) -> None:
    """Count a call that ended, with its attempts and what it consumed.

    `seconds` is from the request to the end of the answer. `added_seconds` is the part of it that neither a
    provider nor a pause took; of a stream, up to when the provider was asked. None: none was asked.
    """
    call = record.call
    _calls.add((call["endpoint"], call["outcome"]))
    _call_seconds.observe(seconds)
    if added_seconds is not None:
        _added_seconds.observe(added_seconds)
    if call["first_byte_ms"] is not None:
        _first_byte_seconds.observe(call["first_byte_ms"] / 1000)
    for name in call["explanation"].get("tried_out", ()):
        _shadow.add((name,))
    for level, _, rule, _ in call["explanation"].get("shadow", ()):
        _shadow_refusals.add((level, rule))
    for attempt in record.attempts:
        _attempts.add((attempt["provider"], attempt["outcome"]))
    for event in record.events:
        _usage_sources.add((event["usage_source"],))
        if event["anomaly"]:
            _anomalies.add((event["anomaly"].partition(":")[0],))
        model = event["model"]
        for line in event["lines"]:
            _tokens.add((model, line["class"]), line["quantity"])


def observe_refusal(code: str) -> None:
    """Count an answer of ours that is no model's, also of callers that nobody knows."""
    _refusals.add((code,))


def observe_commit(seconds: float, records: int) -> None:
    """Count one commit of the ledger, or one append to the spool in its place."""
    _commit_seconds.observe(seconds)
    _batch_records.observe(records)


def observe_drain(outcome: str) -> None:
    """Count a stream that was read on after its client had left: `complete`, `cut` or `refused`."""
    _drains.add((outcome,))


def observe_found(direction: str, counts: Mapping[str, int]) -> None:
    """Count what the data boundary found in one call."""
    for kind, count in counts.items():
        _found.add((direction, kind), count)


def observe_blocked(direction: str, classes: Iterable[str]) -> None:
    """Count a text that the data boundary stopped, once for each class that it held."""
    for kind in classes:
        _blocked.add((direction, kind))


def observe_uninspected(direction: str, answer: str) -> None:
    """Count a text that could not be inspected, and whether it went on."""
    _uninspected.add((direction, answer))


def observe_cache(result: bytes) -> None:
    """Count a call of a tenant that has answers repeated: `hit`, `miss` or `bypass`."""
    _cache.add((result.decode(),))


def observe_content(outcome: str) -> None:
    """Count what was to be kept of a call: `kept` or `dropped`."""
    _content.add((outcome,))


_gateway: Callable[[], Gateway | None] = lambda: None  # noqa: E731 (a function to be replaced by `watch`)


def watch(running: Callable[[], Gateway | None]) -> None:
    """Say where this process's gateway is found, so that scrapes can ask it how things stand."""
    global _gateway
    _gateway = running


class GatewayCollector(Collector):
    """Makes what is scraped from what was counted and from how the gateway stands."""

    def describe(self) -> Iterable[Metric]:
        """Nothing to check in advance; without this, registering would scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric of this app in this process."""
        yield _calls.family("lockstep_calls", "Calls that ended, by endpoint and outcome.")
        yield _attempts.family("lockstep_attempts", "Tries at a provider, by provider and outcome.")
        yield _shadow.family(
            "lockstep_shadow_refusals",
            "Calls that a limit in shadow would have refused, by the limit's name.",
        )
        yield _refusals.family("lockstep_refusals", "Answers of ours that are no model's, by code.")
        yield _tokens.family("lockstep_usage_units", "Units that were metered, by model and class.")
        yield _usage_sources.family("lockstep_usage_events", "Usage events, by where their figures are from.")
        yield _anomalies.family("lockstep_usage_anomalies", "Usage that was unusual, by kind.")
        yield _shadow_refusals.family(
            "lockstep_policy_shadow_refusals",
            "What policies in shadow would have refused, by level and rule.",
        )
        yield _drains.family("lockstep_drains", "Streams read on after their client left, by how that ended.")
        yield _found.family("lockstep_data_found", "Personal data and secrets found, by direction and class.")
        yield _content.family("lockstep_content", "Calls whose content was to be kept, by what came of it.")
        yield _blocked.family("lockstep_data_blocked", "Texts that the data boundary stopped, by class.")
        yield _uninspected.family(
            "lockstep_data_uninspected", "Texts that could not be inspected, by what the policy answered."
        )
        yield _cache.family("lockstep_answer_cache", "Calls that may be answered from memory, by result.")
        yield _call_seconds.family(
            "lockstep_call_seconds", "From a request's first byte to its answer's last."
        )
        yield _added_seconds.family("lockstep_added_seconds", "What we add to a provider's time.")
        yield _first_byte_seconds.family("lockstep_first_byte_seconds", "To the first byte of a stream.")
        yield _commit_seconds.family("lockstep_ledger_commit_seconds", "One commit of usage records.")
        yield _batch_records.family("lockstep_ledger_batch_records", "Usage records in one commit.")
        gateway = _gateway()
        if gateway is not None:
            yield from _standing(gateway)


def _standing(gateway: Gateway) -> Iterator[Metric]:
    engine, recorder = gateway.engine.counters(), gateway.recorder
    gauges = {
        "lockstep_open_reservations": ("Calls that hold a lease now.", engine.open_leases),
        "lockstep_owed_settlements": ("Ends of leases that Valkey has not been told.", engine.owed_endings),
        "lockstep_ledger_waiting_records": ("Usage records on their way to disk.", recorder.depth),
        "lockstep_spool_bytes": (
            "Acknowledged usage that is not in PostgreSQL.",
            recorder.spool.waiting_bytes,
        ),
        "lockstep_open_drains": ("Streams being read on without their client.", gateway.drains),
    }
    for name, (documentation, value) in gauges.items():
        yield GaugeMetricFamily(name, documentation, value=value)
    yield from _admission(engine)
    breakers = GaugeMetricFamily(
        "lockstep_breaker_open", "1 for a target that is left alone now.", labels=["target"]
    )
    for target in gateway.breakers.open_targets():
        breakers.add_metric([target], 1)
    yield breakers
    pool = gateway.pool.get_stats()
    connections = GaugeMetricFamily(
        "lockstep_gateway_connections", "The gateway's connections to PostgreSQL.", labels=["state"]
    )
    connections.add_metric(["open"], pool.get("pool_size", 0))
    connections.add_metric(["free"], pool.get("pool_available", 0))
    connections.add_metric(["wanted"], pool.get("requests_waiting", 0))
    yield connections


def _admission(engine: Counters) -> Iterator[Metric]:
    made = CounterMetricFamily("lockstep_admissions", "Answers of admission.", labels=["answer"])
    for answer in ("admitted", "refused", "degraded", "unavailable"):
        made.add_metric([answer], getattr(engine, answer))
    yield made
    seeded = "Budget counters read from the ledger again."
    yield CounterMetricFamily("lockstep_budget_seeds", seeded, value=engine.seeded)
    resolved = "Reservations of dead owners that were resolved."
    yield CounterMetricFamily("lockstep_orphans_resolved", resolved, value=engine.orphans_resolved)
    recovered = "Times that Valkey had lost its data."
    yield CounterMetricFamily("lockstep_valkey_recoveries", recovered, value=engine.recoveries)


COLLECTOR = GatewayCollector()
REGISTRY.register(COLLECTOR)
