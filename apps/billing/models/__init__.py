"""Plans, subscriptions, periods, statements, invoices and what was said to Stripe."""

from apps.billing.models.collecting import StripeCustomer, StripeInbox, StripeOutbox
from apps.billing.models.invoices import CreditEntry, Invoice, InvoiceLine, InvoiceSeries, Statement
from apps.billing.models.periods import BillingPeriod, LateUsage
from apps.billing.models.plans import EntitlementOverride, Plan, PlanVersion, Subscription

__all__ = [
    "BillingPeriod",
    "CreditEntry",
    "EntitlementOverride",
    "Invoice",
    "InvoiceLine",
    "InvoiceSeries",
    "LateUsage",
    "Plan",
    "PlanVersion",
    "Statement",
    "StripeCustomer",
    "StripeInbox",
    "StripeOutbox",
    "Subscription",
]
