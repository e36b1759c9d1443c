"""Members of the tenant in force, made through the service."""

import redis
from django.conf import settings

from apps.governance.types import Actor, ActorKind
from apps.identity.services import create_member
from apps.identity.types import Member

PASSWORD = "a-long-enough-passphrase"


def make_member(email: str = "olga@acme.example", role: str = "owner", **more: object) -> Member:
    """A member who can sign in with PASSWORD."""
    return create_member(
        email=email, role=role, actor=Actor.system("tests"), **{"password": PASSWORD, "name": "", **more}
    )


def acting(member: Member) -> Actor:
    """The member as the one who acts."""
    return Actor(kind=ActorKind.MEMBER, id=str(member.id), name=member.label, scopes=member.scopes)


def forget_attempts() -> None:
    """Counters of attempts to sign in live in Django's cache in Valkey, which no transaction rolls back."""
    with redis.Redis.from_url(settings.VALKEY_URL) as valkey:
        for key in valkey.scan_iter("c:*"):
            valkey.delete(key)
