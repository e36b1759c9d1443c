"""What becomes of a request between its caller and the rules: prompts put in, placeholders for what may not leave."""

from typing import TYPE_CHECKING, Any

from apps.ai_usage import metrics
from apps.ai_usage.gateway import inspection, prompting
from apps.ai_usage.gateway.callers import Caller
from apps.ai_usage.gateway.requests import ModelRequest

if TYPE_CHECKING:
    from apps.ai_usage.gateway.calls import Call


def is_needed(caller: Caller, request: ModelRequest) -> bool:
    """Whether there is anything to do. Asked for every call, so it has to cost nothing where there is not."""
    return caller.snapshot.boundary is not None or request.original is not None or prompting.is_named(request)


async def shape(call: "Call", caller: Caller) -> None:
    """Make the request what may be asked; Refusal where it may not. Begins anew for another snapshot."""
    request = call.request
    if request.original is None:
        request.original = (request.body, request.parsed)
    else:
        request.body, request.parsed = request.original
        request.translated = None
        if prompting.is_named(request):
            request.prompt = request.prompt_ref = None
    call.inspection = None
    if prompting.is_named(request):
        await prompting.render(call, caller)
    if caller.snapshot.boundary is not None:
        await inspection.of_request(call, caller.snapshot.boundary)


def explained(call: "Call", said: dict[str, Any]) -> dict[str, Any]:
    """What is stored of why a call went as it did, with what was done to its request and answer."""
    used = call.request.prompt
    if used is not None:
        said = said | {"prompt": {"id": str(used.id), "slug": used.slug, "version": used.version}}
    looked = call.inspection
    if looked is None:
        return said
    for direction, counts in looked.redactor.found.items():
        if counts:
            metrics.observe_found(direction.value, counts)
    return said | looked.explained()
