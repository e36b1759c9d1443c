"""Serializers that say what they did not understand."""

from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses members it does not know: a misspelt restriction must not become no restriction."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = {
                str(name): ["There is no such member here."] for name in data if name not in self.fields
            }
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)


class ProblemSerializer(serializers.Serializer[Any]):
    """An RFC 9457 problem document, as every error is answered."""

    type = serializers.CharField(help_text="`urn:lockstep:problem:` and the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened and what to do, for people.")
    code = serializers.CharField(help_text="Stable; decide on this.")
    errors = serializers.DictField(  # type: ignore[assignment]  # only described, never validated
        required=False, help_text="By member, what is wrong with the request (`invalid_request` only)."
    )
