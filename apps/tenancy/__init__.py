"""Tenants and their hosts, their schemas from creation to erasure, and the tenant in force."""
