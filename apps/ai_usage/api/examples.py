"""Examples for the API's description."""

from typing import Any

_SUM: dict[str, Any] = {
    "currency": "USD",
    "price": "0.000324",
    "calls": 1,
    "input_tokens": 1000,
    "cached_tokens": 0,
    "output_tokens": 200,
    "quantities": {"input": 1000, "output": 200},
}
USAGE: dict[str, Any] = {
    "from": "2026-11-01T00:00:00Z",
    "to": "2026-11-24T15:00:00Z",
    "data": [{"group": {"model": "gpt-4o-mini"}} | _SUM],
    "totals": [_SUM],
}
CALL_PAGE: dict[str, Any] = {
    "data": [
        {
            "id": "01938c5e-9a10-7d3a-9c55-0d2f1c7e9a10",
            "started_at": "2026-11-24T14:30:00Z",
            "key_id": "01938c5e-7b1f-7d3a-9c55-0d2f1c7e9a10",
            "owner": {"kind": "service_account", "id": "01938c5e-0c4b-7e90-b1f1-6a5d0f0d3c21"},
            "environment": "live",
            "endpoint": "chat.completions",
            "model": "gpt-4o-mini",
            "stream": False,
            "status": 200,
            "outcome": "ok",
            "error_code": "",
            "duration_ms": 412,
            "first_byte_ms": None,
            "attempts": 1,
            "provider": "openai",
            "served_model": "gpt-4o-mini-2024-07-18",
            "input_tokens": 1000,
            "output_tokens": 200,
            "price": "0.000324",
            "currency": "USD",
            "usage_source": "provider",
            "tags": {"team": "payments"},
        }
    ],
    "next_cursor": None,
}
