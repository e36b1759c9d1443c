"""A real HTTP server that behaves like OpenAI and Anthropic, counts exactly, and can be told to misbehave."""
