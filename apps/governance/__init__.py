"""What a tenant may use now, the limits and policies on it, admission, and the audit log."""
