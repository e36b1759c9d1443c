"""Reading the catalogue, the ledger and its sums."""

from apps.ai_usage.cached_answers import cached_answer_percent as cached_answer_percent
from apps.ai_usage.catalogue import check_entries as check_entries
from apps.ai_usage.catalogue import read_entries as read_entries
from apps.ai_usage.insight.budgets import spent_in as spent_in
from apps.ai_usage.insight.budgets import would_have_refused as would_have_refused
from apps.ai_usage.insight.calls import any_calls as any_calls
from apps.ai_usage.insight.calls import call_detail as call_detail
from apps.ai_usage.insight.calls import calls as calls
from apps.ai_usage.insight.health import recent_health as recent_health
from apps.ai_usage.insight.offered import offered_models as offered_models
from apps.ai_usage.insight.policy_trial import count_shadow_refusals as count_shadow_refusals
from apps.ai_usage.insight.policy_trial import try_policy as try_policy
from apps.ai_usage.insight.spend import month_by_model as month_by_model
from apps.ai_usage.insight.spend import month_spend as month_spend
from apps.ai_usage.insight.usage import usage as usage
from apps.ai_usage.rollups import event_digest as event_digest
from apps.ai_usage.rollups import event_sums as event_sums
from apps.ai_usage.rollups import hourly_digest as hourly_digest
from apps.ai_usage.rollups import prices_per_million as prices_per_million
from apps.ai_usage.rollups import usage_sums as usage_sums
from apps.ai_usage.routes import catalogue as catalogue
from apps.ai_usage.routes import catalogue_version as catalogue_version
from apps.ai_usage.routes import price_book as price_book
