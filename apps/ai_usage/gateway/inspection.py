"""The data boundary on the hot path: requests before they leave, answers before they are shown (docs/data-boundary.md).

Nothing of what was found goes anywhere but into the memory of its call: logs, metrics and rows get classes and counts.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import orjson
from django.conf import settings

from apps.ai_usage import metrics
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.governance.data_boundary.classes import Direction
from apps.governance.data_boundary.errors import Blocked, OutOfTime
from apps.governance.data_boundary.inspecting import Ambiguous, check_unambiguous, inspect_body
from apps.governance.data_boundary.policy import Boundary
from apps.governance.data_boundary.redaction import Redactor

if TYPE_CHECKING:
    from apps.ai_usage.gateway.calls import Call
    from apps.ai_usage.gateway.metering import AttemptLog

log = logging.getLogger(__name__)

# Bodies up to this size are looked through at once, if that takes no longer than this; others in a thread.
_AT_ONCE_BYTES: Final = 16 * 1024
_AT_ONCE_SECONDS: Final = 0.004
_threads: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="inspection")


class Inspection:
    """What the data boundary did in one call."""

    __slots__ = ("blocked", "boundary", "redactor", "uninspected")

    def __init__(self, boundary: Boundary) -> None:
        self.boundary = boundary
        self.redactor = Redactor(restores=boundary.restore)
        self.blocked: tuple[str, ...] = ()
        # Directions in which a text went on without having been looked at, as the policy has it.
        self.uninspected: set[Direction] = set()

    @property
    def reads_answers(self) -> bool:
        """Whether an answer has to be looked at."""
        return self.boundary.response_scanner is not None or self.redactor.restorable

    def explained(self) -> dict[str, Any]:
        """What to store with the call: counts by class and direction, and never a value."""
        said: dict[str, Any] = {}
        found = {direction.value: dict(counts) for direction, counts in self.redactor.found.items() if counts}
        if found:
            said["found"] = found
        if self.blocked:
            said["blocked"] = list(self.blocked)
        if self.uninspected:
            said["uninspected"] = sorted(direction.value for direction in self.uninspected)
        return said

    def refused(self, classes: list[str], direction: Direction) -> Refusal:
        """The refusal of what the policy blocks. Names classes, never a value."""
        self.blocked = tuple(classes)
        metrics.observe_blocked(direction.value, classes)
        where = "The request" if direction is Direction.REQUEST else "The answer"
        return Refusal(
            Kind.PERMISSION,
            "content_blocked",
            f"{where} holds {', '.join(classes)}, which this tenant's data boundary does not let through.",
        )

    def failed(self, error: Exception, direction: Direction) -> None:
        """The policy's answer to a text that could not be inspected: Refusal, or an alarm and on."""
        allows = self.boundary.on_failure == "allow"
        metrics.observe_uninspected(direction.value, "allowed" if allows else "blocked")
        # The class of the error alone: its words may quote what it could not read.
        log.error(
            "a text could not be inspected; it is %s as the policy has it",
            "let through" if allows else "blocked",
            extra={"direction": direction.value, "failure": type(error).__name__},
        )
        if not allows:
            raise Refusal(
                Kind.PERMISSION,
                "inspection_failed",
                f"The {direction.value} could not be inspected, and this tenant's data boundary blocks it then.",
            ) from None
        self.uninspected.add(direction)


async def of_request(call: "Call", boundary: Boundary) -> None:
    """Inspect the call's request and put placeholders in the place of what is redacted; Refusal where it is blocked."""
    request = call.request
    call.inspection = Inspection(boundary)
    changed = await _request(call.inspection, request.body)
    if changed is not None:
        request.body, request.parsed = changed
        request.translated = None


async def of_bytes(body: bytes, parsed: dict[str, Any], boundary: Boundary) -> tuple[bytes, dict[str, Any]]:
    """The same for a request that is no call of its own, such as one that only counts tokens."""
    return await _request(Inspection(boundary), body) or (body, parsed)


async def _request(inspection: Inspection, body: bytes) -> tuple[bytes, dict[str, Any]] | None:
    if inspection.boundary.request_scanner is None:
        return None
    try:
        return await _inspected(inspection, body, Direction.REQUEST)
    except Blocked as blocked:
        raise inspection.refused(blocked.classes, Direction.REQUEST) from None
    except Ambiguous:
        raise Refusal(
            Kind.INVALID,
            "duplicate_member",
            "An object in the body has a member twice, so it cannot be inspected.",
        ) from None
    except Exception as error:  # noqa: BLE001  (whatever a detector does, the policy has an answer)
        inspection.failed(error, Direction.REQUEST)
        return None


async def of_answer(call: "Call", attempt: "AttemptLog", body: bytes, shown: bytes) -> bytes:
    """A whole answer as the caller may see it. One that is blocked is accounted for, and refused."""
    inspection = call.inspection
    assert inspection is not None
    if not inspection.reads_answers:
        return shown
    try:
        changed = await _inspected(inspection, shown, Direction.RESPONSE)
    except Blocked as blocked:
        refusal = inspection.refused(blocked.classes, Direction.RESPONSE)
    except Exception as error:  # noqa: BLE001
        try:
            inspection.failed(error, Direction.RESPONSE)
        except Refusal as refused:
            refusal = refused
        else:
            return shown
    else:
        return shown if changed is None else changed[0]
    if call.claim is not None:
        call.claim.is_abandoned = True
    await call.consumed(
        attempt,
        call.reported(body, attempt),
        status=refusal.status(call.request.dialect),
        outcome="refused",
        error_code=refusal.code,
        said=refusal.message,
    )
    raise refusal


async def _inspected(
    inspection: Inspection, body: bytes, direction: Direction
) -> tuple[bytes, dict[str, Any]] | None:
    """The body as it may go on, or None where it may as it is."""
    if len(body) <= _AT_ONCE_BYTES:
        try:
            return _look(inspection, body, direction, time.monotonic() + _AT_ONCE_SECONDS)
        except OutOfTime:
            pass
    seconds = settings.DATA_BOUNDARY_TIMEOUT_MS / 1000
    work = asyncio.get_running_loop().run_in_executor(
        _threads, _look, inspection, body, direction, time.monotonic() + seconds
    )
    # One look at the clock may be late; a thread that never looks is not waited for.
    return await asyncio.wait_for(work, seconds + 1)


def _look(
    inspection: Inspection, body: bytes, direction: Direction, deadline: float
) -> tuple[bytes, dict[str, Any]] | None:
    if direction is Direction.REQUEST:
        check_unambiguous(body)
    parsed = orjson.loads(body)
    if not inspect_body(parsed, inspection.boundary, inspection.redactor, direction, deadline=deadline):
        return None
    if direction is Direction.RESPONSE:
        _drop_log_probabilities(parsed)
    return orjson.dumps(parsed), parsed


def _drop_log_probabilities(parsed: Any) -> None:
    """They spell the text token by token."""
    choices = parsed.get("choices") if isinstance(parsed, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("logprobs") is not None:
            choice["logprobs"] = None
