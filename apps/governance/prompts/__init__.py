"""Prompts: versioned, reviewed templates that calls name instead of carrying."""
