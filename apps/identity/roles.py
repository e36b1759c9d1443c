"""Roles are made of scopes: what each role may do, as data."""

from django.db.models import TextChoices


class Role(TextChoices):
    """What a member may do in the portal, and so which scopes its keys may carry. Highest first."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    DEVELOPER = "developer", "Developer"
    BILLING = "billing", "Billing"
    VIEWER = "viewer", "Viewer"


# Scope → what it lets one do, in words for those who choose scopes.
SCOPES = {
    "inference:write": "Make model calls",
    "usage:read": "See usage and spend",
    "calls:read": "See the list of calls",
    "keys:read": "See API keys and service accounts",
    "keys:write": "Create, rotate and revoke API keys and service accounts",
    "invoices:read": "See invoices and the plan",
    "billing:write": "Change the plan and the way of paying",
    "members:read": "See members",
    "members:write": "Invite, change and remove members",
    "settings:read": "See budgets, policies and settings",
    "settings:write": "Change budgets, policies and settings",
    "audit:read": "Read the audit log",
    "webhooks:read": "See webhook endpoints and deliveries",
    "webhooks:write": "Create, change and delete webhook endpoints, and send events again",
    "content:read": "Read what was kept of prompts and answers; every reading is recorded",
    "prompts:read": "See prompts and their versions",
    "prompts:write": "Write versions of prompts, and give them to review",
    "prompts:approve": "Approve and retire other people's versions of prompts, and set labels",
    "ownership:write": "Make and unmake owners",
}

_VIEWER = frozenset(
    {"usage:read", "calls:read", "keys:read", "members:read", "settings:read", "prompts:read"}
)
_ADMIN = frozenset(SCOPES) - {"ownership:write"}

_SCOPES_OF: dict[Role, frozenset[str]] = {
    Role.OWNER: frozenset(SCOPES),
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: _VIEWER | {"keys:write", "inference:write", "webhooks:read", "prompts:write"},
    Role.BILLING: frozenset(
        {"usage:read", "invoices:read", "billing:write", "members:read", "settings:read"}
    ),
    Role.VIEWER: _VIEWER,
}

# What a role is for, in a sentence for those who give it.
PURPOSE = {
    Role.OWNER: "Everything, including making other owners.",
    Role.ADMIN: "Everything except ownership.",
    Role.DEVELOPER: "Makes calls and manages API keys; sees usage.",
    Role.BILLING: "Sees spend and invoices, changes plan and payment.",
    Role.VIEWER: "Looks, changes nothing.",
}


def scopes_of(role: str) -> frozenset[str]:
    """The scopes a role is made of; a role that does not exist is a ValueError."""
    return _SCOPES_OF[Role(role)]


def grantable_roles(scopes: frozenset[str]) -> list[Role]:
    """The roles somebody with these scopes may give or take: none that is above their own."""
    return [role for role in Role if scopes_of(role) <= scopes]
