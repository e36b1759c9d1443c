"""Every action that a tenant's audit log can hold, in words. `record_audit` takes no other.

A line an action, by area. docs/audit.md shows the same table, and a test compares the two and looks through the code
for actions that are not here.
"""

ACTIONS: dict[str, str] = {
    "answer_cache.changed": "The rule for answers from memory was changed",
    "audit.exported": "The log, or a part of it, was downloaded",
    "audit.hold_lifted": "A legal hold ended: entries may be removed again when their time is over",
    "audit.hold_set": "A legal hold began: no entry is removed",
    "audit.removed": "Entries older than the plan keeps were removed; the anchor says up to which",
    "budget.alerted": "A budget reached a percentage, or refused for the first time in its window",
    "budget.changed": "A budget's amount, kind or alerts were changed",
    "budget.created": "A budget was set",
    "budget.removed": "A budget was removed",
    "content.key_rotated": "A new data key encrypts what is kept of prompts and answers",
    "content.read": "What was kept of a call's prompt and answer was read",
    "content.shredded": "The data keys were destroyed: what was kept of prompts and answers can never be read again",
    "credit.changed": "The operator gave or took credit",
    "data_boundary.changed": "What is done about personal data and secrets in calls was changed",
    "entitlement.overridden": "The operator made an exception from the plan",
    "entitlement.override_ended": "An exception from the plan ended",
    "entitlements.published": "What the tenant may use was resolved anew",
    "invoice.drafted": "The draft of a period was begun",
    "invoice.finalized": "An invoice got its number and total",
    "invoice.paid": "An invoice was paid",
    "invoice.payment_failed": "A payment of an invoice failed",
    "invoice.uncollectible": "An invoice was given up as uncollectible",
    "invoice.void": "An invoice was made void",
    "key.changed": "A key's name, restrictions, limits or tags were changed",
    "key.child_issued": "A key was made as part of another",
    "key.disabled": "A key was paused",
    "key.enabled": "A key's pause ended",
    "key.expired": "A key's time was over",
    "key.issued": "A key was made",
    "key.leak_reported": "A key's secret was found where it should not be",
    "key.revoked": "A key was ended for good",
    "key.rotated": "A key got a successor and ends with the overlap",
    "key.rotated_in": "A key was made as the successor of another",
    "key.unused": "A key has not been used for as long as the tenant's rules say",
    "key_policy.changed": "The tenant's rules for all keys were changed",
    "member.created": "A member was invited or made",
    "member.disabled": "A member was removed",
    "member.enabled": "A removed member was let in again",
    "member.invited_again": "An invitation was sent again",
    "member.password_set": "A member's password was set",
    "member.renamed": "A member's name was changed",
    "member.role_changed": "A member got another role",
    "member.sign_in_failed": "Somebody failed to sign in",
    "member.sign_in_refused": "A sign-in with the right password was refused",
    "member.signed_in": "A member signed in",
    "member.signed_out": "A member signed out",
    "policy.saved": "A version of a policy was made, rolled back to, or took the policy away",
    "policy_bounds.set": "The operator set the bounds on the tenant's policies, or took them away",
    "prompt.approved": "A version of a prompt was approved",
    "prompt.changed": "A prompt's name or description was changed",
    "prompt.created": "A prompt was made",
    "prompt.drafted": "A version of a prompt was drafted, or a draft was changed",
    "prompt.labelled": "A label of a prompt was put on a version, or taken away",
    "prompt.rejected": "A version of a prompt went back from review to its author",
    "prompt.retired": "A version of a prompt can be used no longer",
    "prompt.submitted": "A version of a prompt was given to review",
    "service_account.created": "A service account was made",
    "service_account.disabled": "A service account was paused, and its keys with it",
    "service_account.enabled": "A service account's pause ended",
    "session.all_ended": "All sessions of a member were ended",
    "session.ended": "A session of a member was ended",
    "subscription.changed": "The plan was changed",
    "subscription.ended": "The subscription ended",
    "subscription.started": "The subscription began",
    "subscription.state_changed": "The subscription's state followed a payment",
    "tenant.changed": "The operator changed the tenant's name or hosts",
    "tenant.created": "The tenant was made",
    "tenant.deletion_requested": "The operator asked for the tenant to be erased",
    "tenant.resumed": "The operator serves the tenant again",
    "tenant.suspended": "The operator suspended the tenant",
    "webhook.changed": "A webhook endpoint's address, events or description were changed",
    "webhook.created": "A webhook endpoint was made",
    "webhook.deleted": "A webhook endpoint was deleted",
    "webhook.disabled": "A webhook endpoint was paused, or given up because nothing reached it",
    "webhook.enabled": "A webhook endpoint is sent to again",
    "webhook.replayed": "Events were sent again",
    "webhook.secret_rotated": "A webhook endpoint got a new secret",
    "webhook.tested": "A test was sent to a webhook endpoint",
}


class UnknownAuditAction(ValueError):
    """A mistake of ours: an action that nobody described."""

    def __init__(self, action: str) -> None:
        super().__init__(
            f"There is no audit action {action!r}: describe it in audit_actions.py and docs/audit.md."
        )


def checked_action(action: str) -> str:
    """The action, if it is described; UnknownAuditAction otherwise."""
    if action not in ACTIONS:
        raise UnknownAuditAction(action)
    return action
