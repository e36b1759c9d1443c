"""Reading the catalogue, the ledger and its sums."""

from apps.ai_usage.catalogue import check_entries as check_entries
from apps.ai_usage.catalogue import read_entries as read_entries
from apps.ai_usage.rollups import event_digest as event_digest
from apps.ai_usage.rollups import event_sums as event_sums
from apps.ai_usage.rollups import hourly_digest as hourly_digest
from apps.ai_usage.rollups import prices_per_million as prices_per_million
from apps.ai_usage.rollups import usage_sums as usage_sums
from apps.ai_usage.routes import catalogue as catalogue
from apps.ai_usage.routes import catalogue_version as catalogue_version
from apps.ai_usage.routes import price_book as price_book
