"""The REST API of keys, service accounts, leak reports and the audit log."""
