"""What other apps may ask of identity: members, operators, and the guard of every portal view."""

from apps.identity.access import open_view as open_view
from apps.identity.access import portal_view as portal_view
from apps.identity.access import refusal as refusal
from apps.identity.invitations import invite_again as invite_again
from apps.identity.invitations import invite_member as invite_member
from apps.identity.members import change_role as change_role
from apps.identity.members import create_member as create_member
from apps.identity.members import deactivate_member as deactivate_member
from apps.identity.members import end_session as end_session
from apps.identity.members import end_sessions as end_sessions
from apps.identity.members import reactivate_member as reactivate_member
from apps.identity.members import rename_member as rename_member
from apps.identity.members import set_password as set_password
from apps.identity.operators import CreatedOperator as CreatedOperator
from apps.identity.operators import create_operator as create_operator
