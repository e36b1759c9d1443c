"""Everything that changes keys and service accounts. One verb, one function; each writes its audit entry and
announces the change, so that the next request on every process sees it."""

from apps.keys.services.change import disable_key as disable_key
from apps.keys.services.change import enable_key as enable_key
from apps.keys.services.change import restrict_key as restrict_key
from apps.keys.services.change import set_key_policy as set_key_policy
from apps.keys.services.issue import issue_child_key as issue_child_key
from apps.keys.services.issue import issue_key as issue_key
from apps.keys.services.leaks import report_leak as report_leak
from apps.keys.services.revoke import revoke_key as revoke_key
from apps.keys.services.revoke import revoke_keys_of_member as revoke_keys_of_member
from apps.keys.services.rotate import rotate_key as rotate_key
from apps.keys.services.service_accounts import create_service_account as create_service_account
from apps.keys.services.service_accounts import disable_service_account as disable_service_account
from apps.keys.services.service_accounts import enable_service_account as enable_service_account
from apps.keys.services.use import note_expired_keys as note_expired_keys
from apps.keys.services.use import purge_idempotent_writes as purge_idempotent_writes
from apps.keys.services.use import record_use as record_use
from apps.keys.services.use import retire_unused_keys as retire_unused_keys
