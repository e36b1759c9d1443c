"""The screen at the end of `make up`."""

from collections.abc import Mapping
from typing import Any

_BODY = '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello to Lockstep."}]}'


def welcome(urls: Mapping[str, str], demo: Mapping[str, Any], *, logs: str, seconds: float) -> str:
    """Where to go, who you are there, and one call to paste."""
    lines = ["", f"Lockstep runs (ready after {seconds:.0f} s). Stop it with Ctrl-C.", ""]
    for tenant in demo["tenants"]:
        owner = tenant["owner"]
        lines += [
            f"  Portal of {tenant['slug']:<10} {tenant['url']}",
            f"    sign in as         {owner['email']}  /  {owner['password']}",
        ]
    operator = demo["operator"]
    lines += [
        f"  Operator admin       {urls['operator']}",
        f"    sign in as         {operator['email']}  /  {operator['password']}",
        f"  REST API             {urls['web']}/api/v1/docs",
        f"  Logs                 {logs}",
    ]
    key = _demo_key(demo)
    if key:
        lines += [
            "",
            "A model call to paste (then look at the portal, or at the usage in the REST API):",
            "",
            f"  curl {urls['api']}/chat/completions \\",
            f"    -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\",
            f"    -d '{_BODY}'",
        ]
    return "\n".join([*lines, ""])


def _demo_key(demo: Mapping[str, Any]) -> str | None:
    keys = [key for tenant in demo["tenants"] for key in tenant.get("keys", [])]
    return next((key["secret"] for key in keys if key["name"] == "demo"), keys[0]["secret"] if keys else None)
