"""The data boundary: what of personal data and secrets may leave a tenant, and what may come back."""
