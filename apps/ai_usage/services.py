"""What other apps may ask of the ledger and the catalogue: everything that changes something."""

from apps.ai_usage.catalogue import apply_entries as apply_entries
from apps.ai_usage.catalogue import publish_prices as publish_prices
from apps.ai_usage.explaining import explain_request as explain_request
from apps.ai_usage.rollups import count_pending as count_pending
from apps.ai_usage.rollups import rebuild as rebuild
