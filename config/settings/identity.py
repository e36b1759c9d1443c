"""Members, operators and how they sign in."""

from config import env

AUTH_USER_MODEL = "identity.User"
# Members sign in on their tenant's host, operators in the control plane: a process knows one of the two ways.
_OPERATORS = env.text("LOCKSTEP_PLANE", "tenant") == "control"
AUTHENTICATION_BACKENDS = [
    "apps.identity.backends.OperatorBackend" if _OPERATORS else "apps.identity.backends.MemberBackend"
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

ACCOUNT_ADAPTER = "apps.identity.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
# No page confirms an address: people are invited to theirs. Should one come, then by code (which allauth
# allows with "mandatory" only): a confirmation link signs an integer that is the same in every tenant.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = False
# Mail to an address that no member has would let strangers send mail through us.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "apps.identity.tokens.PasswordLinkToken"  # noqa: S105  (a path)
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600
# Counted per tenant: the cache's keys carry the schema in force. `key` is the e-mail address.
ACCOUNT_RATE_LIMITS = {"login_failed": "5/5m/key,20/5m/ip"}
# Per e-mail address and per network address, in this many seconds; only failures count.
OPERATOR_SIGN_IN_LIMITS = {"email": 5, "address": 20, "seconds": 300}

# Our table in each schema: keys hashed, sessions with their person.
SESSION_ENGINE = "apps.identity.sessions"
SESSION_COOKIE_NAME = "lockstep_operator_sid" if _OPERATORS else "lockstep_sid"
CSRF_COOKIE_NAME = "lockstep_operator_csrf" if _OPERATORS else "lockstep_csrf"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Host-only: a session of one tenant's host is never sent to another's. Asserted by a system check.
SESSION_COOKIE_DOMAIN = None
SESSION_COOKIE_AGE = 12 * 3600
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"

# Outside the database, so that write access to it is not enough to plant a key. Versions: {id: secret}.
KEY_PEPPERS = {1: env.text("KEY_PEPPER", "development-pepper-not-for-production")}
KEY_PEPPER_ID = max(KEY_PEPPERS)

EMAIL_TIMEOUT = 10
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Lockstep <no-reply@localhost>")

# What ends with a membership, in its transaction: functions of apps that identity does not know.
MEMBERSHIP_ENDS_WITH = ["apps.keys.services.revoke_keys_of_member"]
