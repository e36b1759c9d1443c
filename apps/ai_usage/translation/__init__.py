"""Between the dialects: OpenAI chat completions made by Anthropic models, Anthropic messages by OpenAI ones.

Pure functions over parsed bodies. A request is either expressed whole or refused with the member that cannot be
(`NotExpressible`); nothing is dropped on the way, and what we do not know counts as not expressible.
docs/gateway.md has the table.
"""

from apps.ai_usage.translation.members import NotExpressible

__all__ = ["NotExpressible"]
