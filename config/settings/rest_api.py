"""The REST API: closed by default, problem+json, OpenAPI 3.1."""

from config import env

# Per API key. Above the gateway's own limits nothing is lost: these only stop loops that ran away.
REST_REQUESTS_PER_MINUTE = env.number("REST_REQUESTS_PER_MINUTE", 600)
# Per address, for reports of leaked keys, which need no key.
LEAK_REPORTS_PER_MINUTE = env.number("LEAK_REPORTS_PER_MINUTE", 10)
# Partners that scan for secrets: "identifier=base64 of the DER public key (ECDSA P-256)", separated by
# commas.
LEAK_PARTNER_KEYS = dict(entry.split("=", 1) for entry in env.listing("LEAK_PARTNER_KEYS"))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.keys.api.authentication.KeyAuthentication"],
    # A view that declares no scopes is refused, so forgetting is safe.
    "DEFAULT_PERMISSION_CLASSES": [
        "apps.keys.api.permissions.DeclaredScopes",
        "apps.keys.api.permissions.InPlan",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.keys.strict_json.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "apps.keys.rest.schema.ApiSchema",
    "EXCEPTION_HANDLER": "config.problems.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Lockstep API",
    "DESCRIPTION": "Keys, usage, calls and invoices of one tenant. Send an API key as a bearer token.",
    "VERSION": None,  # the view says it
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.keys.rest.schema.add_codes",
    ],
    "ENUM_NAME_OVERRIDES": {
        "BudgetLevelEnum": "apps.governance_faces.api.budgets.BUDGET_LEVELS",
        "BudgetUnitEnum": "apps.governance_faces.api.budgets.BUDGET_UNITS",
        "BudgetWindowEnum": "apps.governance_faces.api.budgets.BUDGET_WINDOWS",
        "EnvironmentEnum": "apps.keys.api.serializers.ENVIRONMENTS",
        "KeyStateEnum": "apps.keys.api.serializers.KEY_STATES",
        "InvoiceStateEnum": "apps.billing.api.serializers.INVOICE_STATES",
        "SubscriptionStateEnum": "apps.billing.api.serializers.SUBSCRIPTION_STATES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
