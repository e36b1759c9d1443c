"""Telling a tenant's own systems what happened: signed, at least once, and to no address inside our network."""
