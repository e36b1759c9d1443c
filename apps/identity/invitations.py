"""The link by which an invited person chooses a password, and the mail that brings it."""

import logging
from smtplib import SMTPException
from uuid import UUID

from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string

from apps.governance import services as governance
from apps.governance.types import Actor
from apps.identity import selectors
from apps.identity.errors import InvitationTaken, MemberNotFound
from apps.identity.members import create_member
from apps.identity.models import User
from apps.identity.tokens import password_link_path
from apps.identity.types import Invitation
from apps.tenancy.selectors import current_tenant

log = logging.getLogger(__name__)


def invite_member(*, email: str, role: str, actor: Actor, base_url: str, name: str = "") -> Invitation:
    """Add a person who will choose a password by a link, and mail it to them.

    `base_url` is the scheme and host of the tenant's portal. The link comes back as well, because mail may be
    out of order, or there may be none: then whoever invites passes it on.
    """
    invited = create_member(email=email, role=role, name=name, actor=actor)
    return _send(User.objects.get(pk=invited.id), actor, base_url)


def invite_again(*, member_id: UUID, actor: Actor, base_url: str) -> Invitation:
    """A new link for somebody who has not chosen a password yet; links sent before stop working."""
    with transaction.atomic():
        user = User.objects.select_for_update().filter(pk=member_id, is_active=True).first()
        if user is None:
            raise MemberNotFound
        if user.has_usable_password():
            raise InvitationTaken
        # Part of what the link is signed over, so the earlier ones are worth nothing now.
        user.session_epoch += 1
        user.save(update_fields=["session_epoch"])
        governance.record_audit("member.invited_again", actor=actor, target_kind="member", target_id=user.pk)
    return _send(user, actor, base_url)


def _send(user: User, actor: Actor, base_url: str) -> Invitation:
    link = base_url.rstrip("/") + password_link_path(user)
    context = {"tenant": current_tenant(), "link": link, "inviter": actor.name, "email": user.email}
    try:
        send_mail(
            f"{current_tenant().name} invites you to Lockstep",
            render_to_string("identity/invitation.txt", context),
            None,
            [user.email],
        )
        mailed = True
    except (SMTPException, OSError) as failed:
        log.warning("invitation not mailed: %s", type(failed).__name__)
        mailed = False
    return Invitation(member=selectors.describe(user), link=link, mailed=mailed)
