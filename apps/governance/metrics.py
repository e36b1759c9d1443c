"""This app's Prometheus instruments; listed in docs/metrics.md."""

from prometheus_client import Counter, Histogram

WEBHOOK_ATTEMPTS = Counter(
    "lockstep_webhook_attempts_total", "Attempts to deliver to tenants' endpoints, by outcome.", ["outcome"]
)
WEBHOOK_SECONDS = Histogram(
    "lockstep_webhook_seconds",
    "How long one attempt at an endpoint took.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20),
)
WEBHOOKS_DISABLED = Counter(
    "lockstep_webhooks_disabled_total", "Endpoints that were disabled by us, by reason.", ["because"]
)
NOT_INCLUDED = Counter(
    "lockstep_not_included_total",
    "Requests and work that the plan leaves out, by feature and reason.",
    ["feature", "reason"],
)
AUDIT_HEADS = Counter("lockstep_audit_heads_total", "Heads of audit logs that were signed.")
AUDIT_BROKEN = Counter(
    "lockstep_audit_broken_total",
    "Audit logs that no head could be signed for, because they were tampered with.",
)
