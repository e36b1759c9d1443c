"""This app's Prometheus instruments; listed in docs/keys.md."""

from prometheus_client import Counter

REFUSED = Counter(
    "lockstep_keys_refused_total", "Requests whose API key was not accepted, by reason.", ["reason"]
)
CHANGED = Counter("lockstep_keys_changed_total", "Changes to API keys, by what was done.", ["action"])
REST_LIMITED = Counter(
    "lockstep_rest_rate_limited_total", "REST API requests refused by their key's request rate."
)
