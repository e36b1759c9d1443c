"""API keys and service accounts: issue, authenticate, rotate, revoke, introspect."""
