"""The keys that sign the heads of audit logs: outside the database on purpose."""

from config import env

# `name:key`, several with commas: the first signs, all verify. Control plane only.
AUDIT_SIGNING_KEYS = env.listing(
    "AUDIT_SIGNING_KEYS", "development:ZGV2ZWxvcG1lbnQtYXVkaXQta2V5LW5vdC1mb3ItcHI="
)
# `name:key` of keys that signed before, or of those that sign elsewhere: they verify.
AUDIT_PUBLIC_KEYS = env.listing("AUDIT_PUBLIC_KEYS")
