"""Billing's rooms in the tenant's portal."""
