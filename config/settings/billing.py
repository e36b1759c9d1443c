"""Billing: Stripe collects what we rate and invoice."""

from config import env

DEPLOYMENT_MODE = env.text("DEPLOYMENT_MODE", "saas")  # saas | customer_cloud | on_prem | air_gapped
STRIPE_SECRET_KEY = env.optional("STRIPE_SECRET_KEY")
STRIPE_API_BASE = env.optional("STRIPE_API_BASE")  # None: Stripe itself
STRIPE_API_VERSION = "2026-05-27.dahlia"
STRIPE_WEBHOOK_SECRETS = env.listing("STRIPE_WEBHOOK_SECRETS")

STRIPE_LIVE_MODE = False
STRIPE_TEST_SECRET_KEY = STRIPE_SECRET_KEY or "sk_test_000000000000000000000000"
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
DJSTRIPE_SUBSCRIBER_MODEL = "tenancy.Tenant"
DJSTRIPE_SUBSCRIBER_MODEL_REQUEST_CALLBACK = "apps.billing.stripe.subscriber_of_request"
