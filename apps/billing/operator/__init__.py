"""Billing's forms in the operator admin."""
