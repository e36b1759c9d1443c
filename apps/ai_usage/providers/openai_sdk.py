"""Background responses through OpenAI's own SDK, as one more transport of the gateway's calls."""

import time

import openai
from openai import AsyncOpenAI

from apps.ai_usage.gateway.attempts import BAD_ANSWER, CONNECT, TIMEOUT
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.metering import AttemptLog
from apps.ai_usage.gateway.transport import raise_failure
from apps.ai_usage.gateway.upstream import Answer, UpstreamFailed
from apps.ai_usage.types import Target


class ResponsesThroughSdk:
    """Calls `responses.create`; one SDK client per provider, since making one costs milliseconds.

    The SDK's own retries are off: attempts are the gateway's policy, here as on the hot path.
    """

    def __init__(self) -> None:
        self._clients: dict[tuple[str, str], AsyncOpenAI] = {}

    async def __call__(
        self, call: Call, attempt: AttemptLog, granted_output: int | None, ends: float
    ) -> tuple[Answer, bytes | None]:
        permitted = call.permitted
        assert permitted is not None
        began = time.monotonic()
        asked = {
            name: value for name, value in call.request.parsed.items() if name not in ("background", "stream")
        }
        asked["model"] = attempt.target.model
        if granted_output is not None:
            asked["max_output_tokens"] = granted_output
        try:
            raw = await self._client(attempt.target).responses.with_raw_response.create(
                **asked,
                extra_headers={"x-client-request-id": attempt.id.hex},
                timeout=max(0.1, min(permitted.route.total_timeout, ends - time.monotonic())),
            )
        except openai.APITimeoutError as error:
            raise UpstreamFailed(TIMEOUT, "no answer in time") from error
        except openai.APIStatusError as error:
            attempt.status = error.response.status_code
            attempt.provider_request_id = error.response.headers.get("x-request-id", "")
            theirs = Answer(None, error.response.status_code, dict(error.response.headers))
            raise_failure(attempt, theirs, error.response.content, began)
        except openai.APIConnectionError as error:
            raise UpstreamFailed(CONNECT, f"no connection: {type(error).__name__}") from error
        except TypeError as error:
            # The SDK knows a member of the request under no name; the provider is not asked.
            raise UpstreamFailed(BAD_ANSWER, f"not expressible through the SDK: {error}") from error
        response = raw.http_response
        attempt.status = response.status_code
        attempt.first_byte_ms = attempt.duration_ms = round((time.monotonic() - began) * 1000)
        attempt.provider_request_id = response.headers.get("x-request-id", "")
        return Answer(None, response.status_code, dict(response.headers)), response.content

    def _client(self, target: Target) -> AsyncOpenAI:
        which = (target.base_url, target.credential)
        if which not in self._clients:
            self._clients[which] = AsyncOpenAI(
                base_url=target.base_url, api_key=target.credential or "none", max_retries=0
            )
        return self._clients[which]
