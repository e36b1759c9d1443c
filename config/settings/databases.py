"""PostgreSQL under the role of this process's plane, and Valkey as the cache."""

from urllib.parse import unquote, urlsplit

from config import env


def postgres(url: str) -> dict[str, object]:
    """Django's form of a `postgres://user:password@host:port/name` address."""
    parts = urlsplit(url)
    return {
        # Our backend sets the search path from the tenant context and refuses to run without one.
        "ENGINE": "apps.tenancy.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        # Under ASGI a connection kept past its request leaks with its thread; the pool bounds them instead.
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            "options": "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=60000",
            "pool": {
                "min_size": 0,
                "max_size": 12,
                "timeout": 5,
                "max_lifetime": 900,
                "max_idle": 60,
                "reconnect_timeout": 2,
            },
        },
    }


# The tenant plane (portal, API, gateway, model workers) holds no privilege on operators' tables; the control
# plane (operator admin, migrations, provisioning, billing) owns every table. See docs/decisions/0002.
TENANT_DATABASE_URL = env.text("DATABASE_URL", "postgres://lockstep_tenant@127.0.0.1:5432/lockstep")
CONTROL_DATABASE_URL = env.optional("CONTROL_DATABASE_URL")

DATABASES = {
    "default": postgres(
        CONTROL_DATABASE_URL
        if env.text("LOCKSTEP_PLANE", "tenant") == "control" and CONTROL_DATABASE_URL
        else TENANT_DATABASE_URL
    )
}
DATABASE_ROUTERS = ["apps.tenancy.routers.SchemaRouter"]
ORIGINAL_BACKEND = "django.db.backends.postgresql"
TENANT_ROLE = "lockstep_tenant"
CONTROL_ROLE = "lockstep_control"

TENANT_MODEL = "tenancy.Tenant"
TENANT_DOMAIN_MODEL = "tenancy.Domain"
# Set the search path once per connection and scope, not before every statement.
TENANT_LIMIT_SET_CALLS = True

# dj-stripe's own migrations cost every new tenant half a minute; ours make the same tables (docs/decisions/0005).
MIGRATION_MODULES = {"djstripe": "apps.billing.djstripe_migrations"}

VALKEY_URL = env.text("VALKEY_URL", "redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": VALKEY_URL,
        # Reads the tenant from our context variable; no tenant is an error. django-tenants' own function
        # reads the connection, which is the wrong tenant inside the event loop.
        "KEY_FUNCTION": "apps.tenancy.caching.key_in_context",
        "TIMEOUT": 300,
    }
}
