"""One attempt at one provider: the question out, the answer back, and what an error answer means for the call."""

import time
from typing import TYPE_CHECKING, NoReturn, Protocol

from apps.ai_usage.answers import response_usage
from apps.ai_usage.gateway import foreign, upstream
from apps.ai_usage.gateway.attempts import BAD_ANSWER, Verdict, failure_of
from apps.ai_usage.gateway.metering import AttemptLog
from apps.ai_usage.gateway.process import now
from apps.ai_usage.gateway.upstream import Answer, UpstreamFailed

if TYPE_CHECKING:
    from apps.ai_usage.gateway.calls import Call


class Transport(Protocol):
    """Makes one attempt at `attempt.target` and notes on it what was seen; the body comes along unless it streams.

    Raises UpstreamFailed, or ProvidersAnswer where the provider finds the request itself wrong.
    """

    async def __call__(
        self, call: "Call", attempt: AttemptLog, granted_output: int | None, ends: float
    ) -> tuple[Answer, bytes | None]: ...


async def over_http(
    call: "Call", attempt: AttemptLog, granted_output: int | None, ends: float
) -> tuple[Answer, bytes | None]:
    """The gateway's own transport: the client's bytes to the provider, the provider's bytes back."""
    permitted, request, wire = call.permitted, call.request, call.process.wire
    assert permitted is not None and wire is not None
    began = time.monotonic()
    route, target = permitted.route, attempt.target
    is_foreign = target.dialect != request.dialect
    if is_foreign:
        body = foreign.body_for(request, route, target, granted_output)
    else:
        body = upstream.body_for(request, target, granted_output)
    answer = await upstream.post(
        wire,
        route,
        target,
        upstream.PATHS[request.endpoint_at(target.dialect)],
        body,
        {} if is_foreign else request.headers,
        attempt.id.hex,
    )
    attempt.status, attempt.first_byte_ms = answer.status, ms_since(began)
    attempt.provider_request_id = answer.request_id
    if answer.status >= 300:
        theirs = await upstream.read_error(answer)
        raise_failure(attempt, answer, theirs, began)
    try:
        if answer.status != 200:
            answer.close()
            raise UpstreamFailed(BAD_ANSWER, f"answered {answer.status}")
        upstream.check_kind(answer, "text/event-stream" if request.stream else "application/json")
        if request.stream:
            await upstream.read_first_chunk(answer, permitted.route)
            return answer, None
        body = await upstream.read_all(answer, max(0.1, ends - time.monotonic()))
        said = attempt.said = response_usage(target.dialect, request.endpoint_at(target.dialect), body)
        if said.problem:
            raise UpstreamFailed(BAD_ANSWER, f"answered with {said.problem}")
        if is_foreign:
            attempt.shown = foreign.answer_for(request, body)
    except UpstreamFailed as failed:
        # It had said that it succeeded, so it may well charge for what never arrived.
        call.lost(attempt, failed.failure.outcome)
        raise
    attempt.duration_ms = ms_since(began)
    return answer, body


def raise_failure(attempt: AttemptLog, answer: Answer, body: bytes, began: float) -> NoReturn:
    """Turn an error answer into what it means for the call."""
    failure = failure_of(answer.status, answer.headers, body, now())
    if failure.verdict is Verdict.ANSWER:
        attempt.duration_ms = ms_since(began)
        attempt.outcome = failure.outcome
        raise ProvidersAnswer(answer, body)
    raise UpstreamFailed(failure, f"answered {answer.status}")


class ProvidersAnswer(Exception):
    """The provider found the client's request wrong: its answer is passed on as it is."""

    def __init__(self, answer: Answer, body: bytes) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.body = body


def ms_since(began: float) -> int:
    """Whole milliseconds since a moment of the monotonic clock."""
    return round((time.monotonic() - began) * 1000)
