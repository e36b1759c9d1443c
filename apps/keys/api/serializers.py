"""What the API takes and answers, member by member."""

from typing import Any

from rest_framework import serializers

from apps.keys.rest import StrictSerializer
from apps.keys.types import Environment, KeyLimits, KeyState, OwnerKind

_MOST = 2**31 - 1
# Named in settings (ENUM_NAME_OVERRIDES), so that the description has one enumeration for each.
ENVIRONMENTS = [each.value for each in Environment]
KEY_STATES = [state.value for state in KeyState]


class LimitsSerializer(StrictSerializer):
    """Limits of this key alone, inside those of the plan; null where only the plan's apply."""

    requests_per_minute = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=_MOST
    )
    tokens_per_minute = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=_MOST
    )
    concurrent_calls = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=_MOST)
    shadow_limits = serializers.BooleanField(
        required=False,
        default=False,
        help_text="They refuse nothing; what they would have refused is counted.",
    )

    def to_internal_value(self, data: Any) -> KeyLimits:
        """Limits as the services take them."""
        return KeyLimits(**super().to_internal_value(data))


class OwnerSerializer(serializers.Serializer[Any]):
    """Whom the key acts for."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in OwnerKind])
    id = serializers.UUIDField()
    name = serializers.CharField()


class KeySerializer(serializers.Serializer[Any]):
    """A key, without its secret."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    key_id = serializers.CharField(help_text="The part of the secret that lists and logs show.")
    hint = serializers.CharField(help_text="The visible beginning of the secret.")
    environment = serializers.ChoiceField(choices=ENVIRONMENTS)
    state = serializers.ChoiceField(choices=KEY_STATES)
    owner = OwnerSerializer()
    scopes = serializers.ListField(child=serializers.CharField())
    models_allowed = serializers.ListField(
        child=serializers.CharField(), help_text="Empty: every model of the plan."
    )
    addresses_allowed = serializers.ListField(
        child=serializers.CharField(), help_text="Networks it may be used from; empty: any."
    )
    limits = LimitsSerializer()
    tags = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    expires_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_reason = serializers.CharField()
    disabled_reason = serializers.CharField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To about a minute.")
    last_used_address = serializers.CharField()
    last_used_agent = serializers.CharField()
    parent_id = serializers.UUIDField(allow_null=True)
    replaced_by_id = serializers.UUIDField(allow_null=True)


class KeyLinkSerializer(serializers.Serializer[Any]):
    """Another key that this one has to do with."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    key_id = serializers.CharField()
    state = serializers.ChoiceField(choices=KEY_STATES)
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class KeyDetailSerializer(serializers.Serializer[Any]):
    """A key with the keys around it, each with its last use: who still uses the old one after a rotation?"""

    key = KeySerializer()
    replaces = KeyLinkSerializer(many=True)
    replaced_by = KeyLinkSerializer(allow_null=True)
    parent = KeyLinkSerializer(allow_null=True)
    children = KeyLinkSerializer(many=True)


class IssuedKeySerializer(serializers.Serializer[Any]):
    """A key just made. `secret` is shown this once and stored nowhere."""

    key = KeySerializer()
    secret = serializers.CharField()


def _names(**options: Any) -> Any:
    return serializers.ListField(child=serializers.CharField(max_length=120), required=False, **options)


def _tags() -> Any:
    return serializers.DictField(child=serializers.CharField(max_length=120), required=False)


class ChangeKey(StrictSerializer):
    """What of a key can change. What is not given stays; `limits` are replaced whole."""

    name = serializers.CharField(max_length=80, required=False)
    models_allowed = _names(max_length=100)
    addresses_allowed = _names(max_length=50)
    limits = LimitsSerializer(required=False)
    tags = _tags()


class IssueKey(ChangeKey):
    """A new key."""

    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=40),
        min_length=1,
        max_length=50,
        help_text="None that you lack.",
    )
    environment = serializers.ChoiceField(
        choices=ENVIRONMENTS,
        required=False,
        help_text="Default: that of the key you use.",
    )
    member_id = serializers.UUIDField(required=False, help_text="Only the owner of the key you use.")
    service_account_id = serializers.UUIDField(
        required=False, help_text="Default: the owner of the key you use."
    )
    expires_at = serializers.DateTimeField(required=False, help_text="Default and maximum: see /key-policy.")


class IssueChildKey(ChangeKey):
    """A new child key. What is not given is the parent's, except `keys:write`, which no child has."""

    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, min_length=1, max_length=50
    )
    expires_at = serializers.DateTimeField(required=False, help_text="Default: in an hour.")


class RotateKey(StrictSerializer):
    """How to hand over."""

    overlap_seconds = serializers.IntegerField(
        required=False,
        default=86_400,
        min_value=0,
        max_value=30 * 86_400,
        help_text="How long the old secret goes on working.",
    )
    expires_at = serializers.DateTimeField(required=False, help_text="When the new key ends.")


class Reason(StrictSerializer):
    """Why, for the audit log."""

    reason = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)


class NoBody(StrictSerializer):
    """Nothing."""


class KeyQuery(StrictSerializer):
    """Which keys."""

    only_living = serializers.BooleanField(
        required=False, default=False, help_text="Leave out revoked and expired keys."
    )
    service_account_id = serializers.UUIDField(required=False)
    member_id = serializers.UUIDField(required=False)


class Introspect(StrictSerializer):
    """A secret to ask about."""

    key = serializers.CharField(max_length=200)


class IntrospectionSerializer(serializers.Serializer[Any]):
    """Whether a secret is accepted now, and what it may do. Of others' keys nothing but `active`."""

    active = serializers.BooleanField()
    key = KeySerializer(required=False)


class ServiceAccountSerializer(serializers.Serializer[Any]):
    """A program that owns keys."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    is_active = serializers.BooleanField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    usable_keys = serializers.IntegerField()


class CreateServiceAccount(StrictSerializer):
    """A new service account."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)


class KeyPolicySerializer(StrictSerializer):
    """What the tenant asks of all its keys. Days; null: never."""

    default_days = serializers.IntegerField(min_value=1, max_value=365)
    maximum_days = serializers.IntegerField(min_value=1, max_value=365)
    warn_unused_days = serializers.IntegerField(min_value=1, max_value=3650, allow_null=True)
    disable_unused_days = serializers.IntegerField(min_value=1, max_value=3650, allow_null=True)
    revoke_on_leak = serializers.BooleanField()
    addresses_allowed = serializers.ListField(child=serializers.CharField(max_length=60), max_length=50)


class WhoAmITenant(serializers.Serializer[Any]):
    """The tenant that the key belongs to."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField()


class WhoAmISerializer(serializers.Serializer[Any]):
    """What the key you use is and may do."""

    tenant = WhoAmITenant()
    key = KeySerializer()
    scopes = serializers.ListField(
        child=serializers.CharField(), help_text="What the key carries and its owner still holds."
    )
    plan = serializers.CharField()


class ReportLeak(StrictSerializer):
    """A secret found where it should not be."""

    key = serializers.CharField(max_length=300)
    where = serializers.CharField(
        max_length=300, required=False, default="", allow_blank=True, help_text="An address, if there is one."
    )


class ReportReceived(serializers.Serializer[Any]):
    """Thanks; whether the key was real is not said."""

    received = serializers.BooleanField()


class PartnerFinding(serializers.Serializer[Any]):
    """One finding of a secret-scanning partner. Members that we don't use are ignored."""

    token = serializers.CharField(max_length=300)
    url = serializers.CharField(max_length=2000, required=False, allow_blank=True)
