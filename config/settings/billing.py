"""Billing: Stripe collects what we rate and invoice."""

from config import env

DEPLOYMENT_MODE = env.text("DEPLOYMENT_MODE", "saas")  # saas | customer_cloud | on_prem | air_gapped
STRIPE_SECRET_KEY = env.optional("STRIPE_SECRET_KEY")
STRIPE_API_BASE = env.optional("STRIPE_API_BASE")  # None: Stripe itself
STRIPE_API_VERSION = "2026-05-27.dahlia"
STRIPE_WEBHOOK_SECRETS = env.listing("STRIPE_WEBHOOK_SECRETS")

# How long a period that is over waits for late usage before it is closed, and how long an invoice may be owed.
BILLING_GRACE_HOURS = env.number("BILLING_GRACE_HOURS", 24)
BILLING_DUE_DAYS = env.number("BILLING_DUE_DAYS", 14)
# Who sends the invoices, as they say it.
SELLER = {
    "name": env.text("SELLER_NAME", "Lockstep"),
    "address": env.text("SELLER_ADDRESS", "Set SELLER_ADDRESS"),
    "tax_id": env.optional("SELLER_TAX_ID"),
}
# How `env:NAME` in a catalogue becomes a value; apps read no environment.
CATALOGUE_ENVIRONMENT = env.by_name

STRIPE_LIVE_MODE = (STRIPE_SECRET_KEY or "").startswith(("sk_live_", "rk_live_"))
STRIPE_TEST_SECRET_KEY = STRIPE_SECRET_KEY or "sk_test_000000000000000000000000"
STRIPE_LIVE_SECRET_KEY = STRIPE_SECRET_KEY if STRIPE_LIVE_MODE else None
if STRIPE_API_BASE:
    # dj-stripe fetches what it mirrors from the same double, and would warn of that at each command.
    STRIPE_API_HOST = STRIPE_API_BASE
    SILENCED_SYSTEM_CHECKS = ["djstripe.W002"]
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
DJSTRIPE_SUBSCRIBER_MODEL = "tenancy.Tenant"
DJSTRIPE_SUBSCRIBER_MODEL_REQUEST_CALLBACK = "apps.billing.stripe.subscriber_of_request"
