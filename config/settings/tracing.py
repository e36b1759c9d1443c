"""OpenTelemetry spans of model calls: off unless there is a collector to send them to."""

from config import env

# The address of an OTLP collector that takes HTTP with protobuf; `/v1/traces` is added. Empty: no spans are made.
OTEL_EXPORTER_OTLP_ENDPOINT = env.text("OTEL_EXPORTER_OTLP_ENDPOINT", "")
# Headers for it, as `name=value` with commas between: a collector's key, usually.
OTEL_EXPORTER_OTLP_HEADERS = env.text("OTEL_EXPORTER_OTLP_HEADERS", "")
OTEL_SERVICE_NAME = env.text("OTEL_SERVICE_NAME", "lockstep-gateway")
# What a client's `traceparent` is to us: `link`, `parent` (trace id and sampling are the client's) or `ignore`.
TRACEPARENT_OF_CLIENTS = env.text("TRACEPARENT_OF_CLIENTS", "link")
# Spans that wait for the collector; beyond it they are dropped.
TRACES_MOST_WAITING = env.number("TRACES_MOST_WAITING", 4096)
