"""Everything that changes plans, subscriptions, periods and invoices. Control plane."""

from apps.billing.services.catalogue import apply_catalogue as apply_catalogue
from apps.billing.services.closing import close_due_periods as close_due_periods
from apps.billing.services.closing import close_period as close_period
from apps.billing.services.closing import rebuild_month as rebuild_month
from apps.billing.services.closing import roll_up_tenant as roll_up_tenant
from apps.billing.services.collecting import apply_stripe_event as apply_stripe_event
from apps.billing.services.collecting import ensure_customer as ensure_customer
from apps.billing.services.collecting import mark_paid as mark_paid
from apps.billing.services.collecting import push_invoice as push_invoice
from apps.billing.services.collecting import receive_webhook as receive_webhook
from apps.billing.services.credit import change_credit as change_credit
from apps.billing.services.onboarding import Onboarding as Onboarding
from apps.billing.services.onboarding import delete_tenant as delete_tenant
from apps.billing.services.onboarding import onboard_tenant as onboard_tenant
from apps.billing.services.plans import move_subscribers as move_subscribers
from apps.billing.services.plans import publish_new_rates as publish_new_rates
from apps.billing.services.plans import publish_plan as publish_plan
from apps.billing.services.subscriptions import end_override as end_override
from apps.billing.services.subscriptions import end_subscription as end_subscription
from apps.billing.services.subscriptions import set_override as set_override
from apps.billing.services.subscriptions import set_plan as set_plan
from apps.billing.services.subscriptions import set_state as set_state
from apps.billing.services.subscriptions import subscribe as subscribe
