"""The REST API of usage and calls."""
