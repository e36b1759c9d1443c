"""Billing's part of the REST API."""
