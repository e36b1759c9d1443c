"""Production: every secret must be given, cookies only over TLS."""

from config import env
from config.settings.base import *  # noqa: F403

SECRET_KEY = env.text("SECRET_KEY")
CREDENTIAL_KEY = env.text("CREDENTIAL_KEY")
KEY_PEPPERS = {1: env.text("KEY_PEPPER")}
BASE_DOMAIN = env.text("BASE_DOMAIN")
OPERATOR_HOSTS = env.listing("OPERATOR_HOSTS")
SHARED_HOSTS = env.listing("SHARED_HOSTS")

SESSION_COOKIE_NAME = "__Host-sid"
CSRF_COOKIE_NAME = "__Host-csrf"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
