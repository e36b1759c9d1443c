"""Examples for the API's description."""

from typing import Any

KEY: dict[str, Any] = {
    "id": "01938c5e-7b1f-7d3a-9c55-0d2f1c7e9a10",
    "name": "checkout service",
    "key_id": "sV8amPs1ZN",
    "hint": "lk_live_k3v9x2mp_sV8amPs1ZN",
    "environment": "live",
    "state": "active",
    "owner": {"kind": "service_account", "id": "01938c5e-0c4b-7e90-b1f1-6a5d0f0d3c21", "name": "checkout"},
    "scopes": ["inference:write"],
    "models_allowed": ["gpt-4o-mini"],
    "addresses_allowed": ["203.0.113.0/24"],
    "limits": {"requests_per_minute": 120, "tokens_per_minute": None, "concurrent_calls": 10},
    "tags": {"team": "payments"},
    "created_at": "2026-11-24T14:00:00Z",
    "created_by": "Ada",
    "expires_at": "2027-02-22T14:00:00Z",
    "revoked_at": None,
    "revoked_reason": "",
    "disabled_reason": "",
    "last_used_at": None,
    "last_used_address": "",
    "last_used_agent": "",
    "parent_id": None,
    "replaced_by_id": None,
}
ISSUE: dict[str, Any] = {
    "name": KEY["name"],
    "scopes": KEY["scopes"],
    "service_account_id": KEY["owner"]["id"],
    "addresses_allowed": KEY["addresses_allowed"],
    "limits": {"requests_per_minute": 120, "concurrent_calls": 10},
    "tags": KEY["tags"],
}
ISSUED: dict[str, Any] = {"key": KEY, "secret": "lk_live_k3v9x2mp_sV8amPs1ZN_…"}
KEY_PAGE: dict[str, Any] = {"data": [KEY], "next_cursor": None}
