"""Counting is exact, its labels are bounded, and a scrape tells how the gateway stands."""

import timeit
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from apps.ai_usage import metrics
from apps.governance.admission.engine import Counters
from tests.factories.usage import answered, attempt


@pytest.fixture
def scrape(monkeypatch: Any) -> Any:
    """What a scrape reads, by sample and its labels from a to z, as the difference since the test began."""

    def read() -> dict[tuple[str, tuple[str, ...]], float]:
        registry = CollectorRegistry()
        registry.register(metrics.COLLECTOR)
        families = text_string_to_metric_families(generate_latest(registry).decode())
        return {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    before = read()
    return lambda: {place: value - before.get(place, 0) for place, value in read().items()}


def test_a_call_is_counted_with_its_attempts_tokens_and_times(tenant, scrape):
    record = answered(store=False, first_byte_ms=40)
    record.attempts = [
        attempt(record.call, 1, provider="azure", outcome="rate_limited"),
        attempt(record.call, 2),
    ]

    metrics.observe_call(record, seconds=0.12, added_seconds=0.0009)

    counted = scrape()
    assert counted["lockstep_calls_total", ("chat.completions", "ok")] == 1
    assert counted["lockstep_attempts_total", ("rate_limited", "azure")] == 1
    assert counted["lockstep_attempts_total", ("ok", "openai")] == 1
    assert counted["lockstep_usage_units_total", ("input", "gpt-4o-mini")] == 1000
    assert counted["lockstep_usage_units_total", ("output", "gpt-4o-mini")] == 200
    assert counted["lockstep_usage_events_total", ("provider",)] == 1
    assert counted["lockstep_added_seconds_bucket", ("0.0005",)] == 0
    assert counted["lockstep_added_seconds_bucket", ("0.001",)] == 1
    assert counted["lockstep_added_seconds_bucket", ("+Inf",)] == 1
    assert counted["lockstep_added_seconds_sum", ()] == pytest.approx(0.0009)
    assert counted["lockstep_first_byte_seconds_bucket", ("0.05",)] == 1
    assert counted["lockstep_call_seconds_count", ()] == 1


def test_refusals_commits_and_drains_are_counted(scrape):
    metrics.observe_refusal("budget_exhausted")
    metrics.observe_refusal("budget_exhausted")
    metrics.observe_commit(0.003, 17)
    metrics.observe_drain("complete")

    counted = scrape()
    assert counted["lockstep_refusals_total", ("budget_exhausted",)] == 2
    assert counted["lockstep_ledger_commit_seconds_bucket", ("0.002",)] == 0
    assert counted["lockstep_ledger_commit_seconds_bucket", ("0.005",)] == 1
    assert counted["lockstep_ledger_batch_records_sum", ()] == 17
    assert counted["lockstep_drains_total", ("complete",)] == 1


def test_a_flood_of_labels_ends_in_one_and_loses_no_count():
    counted = metrics.Counted("model", "class")
    for place in range(metrics.MOST_LABELS + 500):
        counted.add((f"model-{place}", "input"), 2)

    samples = counted.family("made_up", "Only here.").samples

    assert len(samples) == metrics.MOST_LABELS + 1
    assert sum(sample.value for sample in samples) == 2 * (metrics.MOST_LABELS + 500)
    assert samples[-1].labels == {"model": metrics.OTHER, "class": metrics.OTHER}


def test_no_label_names_a_tenant_or_a_key(tenant, scrape):
    record = answered(store=False)

    metrics.observe_call(record, seconds=0.1, added_seconds=0.001)

    said = {word for _, labels in scrape() for word in labels}
    assert not said & {str(tenant.id), tenant.ref, tenant.slug, str(record.call["key_id"])}


def test_a_scrape_tells_how_the_gateway_stands(scrape, monkeypatch):
    counters = Counters(
        admitted=7,
        refused=2,
        degraded=1,
        unavailable=0,
        seeded=3,
        orphans_resolved=4,
        unknown_settlements=0,
        recoveries=5,
        open_leases=6,
        owed_endings=8,
    )
    standing = SimpleNamespace(
        engine=SimpleNamespace(counters=lambda: counters),
        recorder=SimpleNamespace(depth=9, spool=SimpleNamespace(waiting_bytes=1234)),
        breakers=SimpleNamespace(open_targets=lambda: ["openai/gpt-4o"]),
        pool=SimpleNamespace(get_stats=lambda: {"pool_size": 4, "pool_available": 3, "requests_waiting": 0}),
        drains=2,
    )
    monkeypatch.setattr(metrics, "_gateway", lambda: standing)

    told = scrape()

    assert told["lockstep_open_reservations", ()] == 6
    assert told["lockstep_owed_settlements", ()] == 8
    assert told["lockstep_ledger_waiting_records", ()] == 9
    assert told["lockstep_spool_bytes", ()] == 1234
    assert told["lockstep_open_drains", ()] == 2
    assert told["lockstep_breaker_open", ("openai/gpt-4o",)] == 1
    assert told["lockstep_admissions_total", ("degraded",)] == 1
    assert told["lockstep_valkey_recoveries_total", ()] == 5
    assert told["lockstep_gateway_connections", ("free",)] == 3


def test_a_process_without_gateway_is_scraped_all_the_same(scrape, monkeypatch):
    monkeypatch.setattr(metrics, "_gateway", lambda: None)

    assert not [name for name, _ in scrape() if name == "lockstep_open_reservations"]


def test_counting_a_call_costs_microseconds(tenant):
    record = answered(store=False)

    def count() -> None:
        metrics.observe_call(record, seconds=0.1, added_seconds=0.001)

    once = min(timeit.repeat(count, number=2000, repeat=5)) / 2000

    # Measured at 2.5 µs on a free core; ten times that would be another design.
    assert once < 25e-6
