"""Hosts, cookies, headers and limits on what a request may bring."""

from config import env

SECRET_KEY = env.text("SECRET_KEY", "development-secret-key-not-for-production")
# Encrypts provider credentials and per-tenant data keys at rest (32 bytes, urlsafe base64).
CREDENTIAL_KEY = env.text("CREDENTIAL_KEY", "ZGV2ZWxvcG1lbnQta2V5LW5vdC1wcm9kdWN0aW9uISE=")

# The tenant middleware decides which hosts exist: one not in `tenancy_domain` is a 404 before any view runs.
ALLOWED_HOSTS = ["*"]
OPERATOR_HOSTS = env.listing("OPERATOR_HOSTS", "operator.localhost,127.0.0.1,localhost")
# Hosts of the tenant plane on which the key alone names the tenant (API and gateway, no portal).
SHARED_HOSTS = env.listing("SHARED_HOSTS", "127.0.0.1,localhost")
BASE_DOMAIN = env.text("BASE_DOMAIN", "localhost")
TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXY_COUNT", 0)

CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "config.views.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# For pages of packages that need inline styles and scripts: still nothing from another host.
CONTENT_SECURITY_POLICY_RELAXED = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
