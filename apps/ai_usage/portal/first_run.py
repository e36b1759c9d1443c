"""What to do until the first call: a checklist, and requests to paste."""

from typing import TYPE_CHECKING, Any

from django.urls import reverse

from apps.ai_usage.insight.offered import OfferedModel, offered_models
from apps.governance.types import Entitlements, Standing
from apps.keys.selectors import keys_in_use

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest


def first_run(request: "PortalRequest", entitled: Entitlements) -> dict[str, Any]:
    """The steps to a first call: a plan, a key, a request."""
    has_plan = entitled.standing is Standing.ACTIVE
    has_key = keys_in_use() > 0
    steps: list[dict[str, Any]] = [
        {
            "title": f"You are on the plan {entitled.plan}" if has_plan else "Get a plan",
            "body": "" if has_plan else "Calls are refused until there is a plan that is paid.",
            "done": has_plan,
        },
        {
            "title": "Create an API key",
            "body": "It says who calls, and what that caller may do. Its secret is shown once.",
            "done": has_key,
        },
        {
            "title": "Make a call",
            "body": "Any OpenAI or Anthropic client will do. Your key's secret goes where lk_live_… stands.",
            "show_snippets": True,
            "done": False,
        },
        {
            "title": "See its price here",
            "body": "A call is here as soon as it ends, with its tokens and its price to the last digit.",
            "done": False,
        },
    ]
    if not has_key and "keys:write" in request.member.scopes:
        steps[1] |= {"url": reverse("keys:create"), "action": "Create a key"}
    current = next(position for position, step in enumerate(steps) if not step["done"])
    for position, step in enumerate(steps):
        step["now"] = position == current
    return {"steps": steps, "snippets": snippets(request)}


def snippets(request: "PortalRequest") -> list[dict[str, str]]:
    """The same small request in the ways people make it, against this host and a model they may use."""
    base = f"{request.scheme}://{request.get_host()}"
    offered = offered_models()
    chat, messages = _model(offered, "openai"), _model(offered, "anthropic")
    found = []
    if chat or not messages:
        found += _openai(base, chat or "MODEL")
    if messages:
        found += _anthropic(base, messages)
    return found


def _model(offered: list[OfferedModel], dialect: str) -> str:
    names = [each.model for each in offered if dialect in each.dialects and "embedding" not in each.model]
    # The short names are the plain models; variants come after them.
    return min(names, key=lambda name: (len(name), name), default="")


def _openai(base: str, model: str) -> list[dict[str, str]]:
    curl = f"""curl {base}/v1/chat/completions \\
  -H "Authorization: Bearer lk_live_…" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Say hello"}}]}}'"""
    python = f"""from openai import OpenAI

client = OpenAI(base_url="{base}/v1", api_key="lk_live_…")
answer = client.chat.completions.create(
    model="{model}", messages=[{{"role": "user", "content": "Say hello"}}]
)
print(answer.choices[0].message.content)"""
    return [
        {"name": "snippet-curl", "label": "curl", "language": "sh", "code": curl},
        {"name": "snippet-openai", "label": "Python, openai", "language": "python", "code": python},
    ]


def _anthropic(base: str, model: str) -> list[dict[str, str]]:
    python = f"""from anthropic import Anthropic

client = Anthropic(base_url="{base}", api_key="lk_live_…")
answer = client.messages.create(
    model="{model}", max_tokens=64, messages=[{{"role": "user", "content": "Say hello"}}]
)
print(answer.content[0].text)"""
    return [{"name": "snippet-anthropic", "label": "Python, anthropic", "language": "python", "code": python}]
