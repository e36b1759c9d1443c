"""JSON log lines with tenant, request and actor from context variables; secrets and prompts never."""

import logging
import re
from typing import Any

import structlog

from apps.tenancy import context

# API keys of ours and of providers, whatever field or message they turn up in.
_SECRETS = re.compile(
    r"(lk_(?:live|test)_[a-z0-9]{8}_[A-Za-z0-9]{4})[A-Za-z0-9_]+|(sk-)[A-Za-z0-9_\-]{8,}|(Bearer )\S+"
)


def formatter() -> logging.Formatter:
    """The formatter of every handler (settings/logs.py)."""
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _add_tenant,
            _redact,
            structlog.processors.JSONRenderer(),
        ],
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
    )


def _add_tenant(_logger: Any, _name: str, event: Any) -> Any:
    tenant = context.tenant_or_none()
    if tenant is not None:
        event["tenant"] = tenant.slug
    return event


def _redact(_logger: Any, _name: str, event: Any) -> Any:
    for field, value in event.items():
        if isinstance(value, str):
            event[field] = _SECRETS.sub(
                lambda found: (found[1] or found[2] or found[3]) + "[redacted]", value
            )
    return event
