"""A browser's long name for itself, in the two words people know it by."""

from typing import Any

from apps.identity.types import SignedInSession

# The first that occurs decides: Edge and Opera call themselves Chrome too, and Chrome calls itself Safari.
_BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "Firefox": "Firefox",
    "Chrome": "Chrome",
    "Safari": "Safari",
    "curl": "curl",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def browser_of(agent: str) -> str:
    """ "Firefox on Windows"; what the browser says of itself where we don't know it."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or agent[:60] or "Unknown browser"


def describe_session(session: SignedInSession, end_url: str | None = None) -> dict[str, Any]:
    """A session as the pages show it."""
    return {
        "device": browser_of(session.agent),
        "address": session.address or "unknown",
        "started_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "is_current": session.is_current,
        "end_url": end_url,
    }
