"""Django itself: apps, middleware, templates. Each concern's settings are imported from its own file."""

from config import env
from config.settings.ai_usage import *  # noqa: F403
from config.settings.audit import *  # noqa: F403
from config.settings.billing import *  # noqa: F403
from config.settings.databases import *  # noqa: F403
from config.settings.identity import *  # noqa: F403
from config.settings.keys import *  # noqa: F403
from config.settings.logs import *  # noqa: F403
from config.settings.operator_admin import *  # noqa: F403
from config.settings.rest_api import *  # noqa: F403
from config.settings.security import *  # noqa: F403
from config.settings.tracing import *  # noqa: F403
from config.settings.webhooks import *  # noqa: F403
from config.settings.work import *  # noqa: F403

BASE_DIR = env.ROOT
LOCKSTEP_HOME = env.home()
LOCKSTEP_PLANE = env.text("LOCKSTEP_PLANE", "tenant")  # tenant | control
LOCKSTEP_PORT = env.number("LOCKSTEP_PORT", 8000)
DEBUG = False

# django-tenants' names: SHARED_APPS have their tables in `public`, TENANT_APPS in each tenant's schema.
# The user table and sessions are in both: operators in public, members in their tenant's schema.
SHARED_APPS = [
    "apps.tenancy",
    "apps.jobs",
    "apps.governance",
    "apps.identity",
    "apps.keys",
    "apps.ai_usage",
    "apps.billing",
    "unfold",
    "apps.operator_site",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "djstripe",
]
TENANT_APPS = [
    "apps.governance",
    "apps.identity",
    "apps.keys",
    "apps.ai_usage",
    "apps.billing",
    "allauth",
    "allauth.account",
]
INSTALLED_APPS = SHARED_APPS + [app for app in TENANT_APPS if app not in SHARED_APPS]

MIDDLEWARE = [
    "apps.tenancy.middleware.RequestTenant",
    "config.middleware.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.identity.middleware.CurrentMember",
]

ROOT_URLCONF = "config.urls.tenant"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.portal",
            ],
            "libraries": {"lockstep_ui": "config.templatetags.lockstep_ui"},
            "builtins": ["config.templatetags.lockstep_ui"],
        },
    },
]

STATIC_URL = "/static/"
STATIC_ROOT = LOCKSTEP_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = True
