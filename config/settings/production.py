"""Production: every secret must be given, cookies only over TLS."""

from config import env
from config.settings.base import *  # noqa: F403

SECRET_KEY = env.text("SECRET_KEY")
CREDENTIAL_KEY = env.text("CREDENTIAL_KEY")
# What signs the heads of audit logs stays away from the processes that write the logs.
AUDIT_SIGNING_KEYS = []
if LOCKSTEP_PLANE == "control":  # noqa: F405
    env.text("AUDIT_SIGNING_KEYS")
    AUDIT_SIGNING_KEYS = env.listing("AUDIT_SIGNING_KEYS")
KEY_PEPPERS = {1: env.text("KEY_PEPPER")}
BASE_DOMAIN = env.text("BASE_DOMAIN")
OPERATOR_HOSTS = env.listing("OPERATOR_HOSTS")
SHARED_HOSTS = env.listing("SHARED_HOSTS")

# The browser itself refuses a `__Host-` cookie that a sibling host tries to set.
SESSION_COOKIE_NAME = "__Host-operator-sid" if LOCKSTEP_PLANE == "control" else "__Host-sid"  # noqa: F405
CSRF_COOKIE_NAME = "__Host-operator-csrf" if LOCKSTEP_PLANE == "control" else "__Host-csrf"  # noqa: F405
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
