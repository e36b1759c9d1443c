"""Celery: the doorbell and the worker pool. The record of work is the ticket in PostgreSQL (apps/jobs)."""

from typing import Any

from config import env

CELERY_BROKER_URL = env.text("VALKEY_URL", "redis://127.0.0.1:6379/0")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_SOFT_TIME_LIMIT = 570
CELERY_TASK_TIME_LIMIT = 600
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_POOL_LIMIT = 10
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "retry_on_timeout": True,
    "health_check_interval": 25,
    "queue_order_strategy": "round_robin",
    "global_keyprefix": "q:",
}
QUEUES = ["interactive", "default", "bulk", "webhooks", "billing"]
# How often the sweeper looks for tickets whose doorbell was lost, and for expired leases.
TICKET_SWEEP_SECONDS = env.number("TICKET_SWEEP_SECONDS", 2)
SPARE_SCHEMAS = env.number("SPARE_SCHEMAS", 2)
# Recurring work: one ticket per slot, however many beats run (apps/jobs).
SCHEDULES: list[dict[str, Any]] = [
    {"kind": "billing.close_due_periods", "every": 300, "queue": "billing"},
    {"kind": "tenancy.erase_due_tenants", "every": 300, "queue": "billing"},
    {"kind": "tenancy.refill_spare_schemas", "every": 60, "queue": "billing"},
    {"kind": "identity.clear_sessions", "every": 3600, "queue": "billing"},
    {"kind": "tenancy.purge_tickets", "every": 3600, "queue": "billing"},
    {"kind": "keys.look_after_all", "every": 6 * 3600, "queue": "default"},
    {"kind": "ai_usage.end_expired_leases", "every": 60, "queue": "bulk"},
    {"kind": "governance.look_after_all", "every": 3600, "queue": "billing"},
    {"kind": "governance.forget_content", "every": 3600, "queue": "bulk"},
    {"kind": "ai_usage.forget_background", "every": 3600, "queue": "bulk"},
]
CELERY_BEAT_SCHEDULE = {
    # Both worker pools sweep, so that either alone keeps its own queues moving.
    "sweep": {
        "task": "jobs.sweep",
        "schedule": TICKET_SWEEP_SECONDS,
        "options": {"queue": "default", "expires": 4},
    },
    "sweep-billing": {
        "task": "jobs.sweep",
        "schedule": TICKET_SWEEP_SECONDS,
        "options": {"queue": "billing", "expires": 4},
    },
}
