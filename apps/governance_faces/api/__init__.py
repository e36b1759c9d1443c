"""The REST API of governance."""
