"""Endpoints of prompts."""

from typing import Any
from uuid import UUID

from rest_framework import serializers, status
from rest_framework.response import Response

from apps.governance.prompts import workflow
from apps.governance.prompts.templates import Template
from apps.governance.prompts.workflow import Person
from apps.keys.rest import ApiRequest, StrictSerializer, TenantAPIView, describes


def person_of(request: ApiRequest) -> Person:
    """Who uses the key: the member or service account, so that a second key makes nobody a second person."""
    principal = request.auth
    return Person(f"{principal.owner_kind.value}:{principal.owner_id}", principal.owner_name, request.actor)


class VersionContent(StrictSerializer):
    """What a version says."""

    content = serializers.DictField(
        help_text="`messages` (role system, user or assistant; content with `{{name}}`), `variables` (by name: type "
        "string, integer, number or boolean, max_length, required, default), `accepts` (messages, tools)."
    )
    note = serializers.CharField(required=False, default="", max_length=500, allow_blank=True)


class NewPrompt(VersionContent):
    """A prompt and its first version."""

    slug = serializers.CharField(max_length=60)
    name = serializers.CharField(max_length=120)
    description = serializers.CharField(required=False, default="", max_length=500, allow_blank=True)


class ChangePrompt(StrictSerializer):
    """What a prompt is called, and where its labels point."""

    name = serializers.CharField(max_length=120, required=False)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)


class SetLabel(StrictSerializer):
    """Where a label points."""

    version = serializers.IntegerField(min_value=1, allow_null=True, help_text="Null takes the label away.")


class RenderPrompt(StrictSerializer):
    """Values to try a version with."""

    version = serializers.IntegerField(min_value=1)
    variables = serializers.DictField(required=False, default=dict)


class VersionSerializer(serializers.Serializer[Any]):
    """One version of a prompt."""

    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=["draft", "in_review", "approved", "retired"])
    content = serializers.DictField()
    note = serializers.CharField()
    author_id = serializers.CharField(help_text="`member:<id>` or `service_account:<id>`.")
    author_name = serializers.CharField()
    reviewer_id = serializers.CharField()
    reviewer_name = serializers.CharField()
    created_at = serializers.DateTimeField()
    submitted_at = serializers.DateTimeField(allow_null=True)
    reviewed_at = serializers.DateTimeField(allow_null=True)
    retired_at = serializers.DateTimeField(allow_null=True)


class PromptSerializer(serializers.Serializer[Any]):
    """A prompt with its versions, newest first."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    labels = serializers.DictField(child=serializers.IntegerField(), help_text="Version numbers by label.")
    created_at = serializers.DateTimeField()
    versions = serializers.SerializerMethodField()

    def get_versions(self, prompt: Any) -> list[dict[str, Any]]:
        """Every version."""
        return [dict(VersionSerializer(each).data) for each in prompt.versions.all()]


class PromptsSerializer(serializers.Serializer[Any]):
    """Every prompt of the tenant."""

    def get_fields(self) -> dict[str, Any]:
        """Written here because `data` is a word of serializers'."""
        return {"data": PromptSerializer(many=True)}


class RenderedSerializer(serializers.Serializer[Any]):
    """A version with values in it, as a call would have it."""

    messages = serializers.ListField(child=serializers.DictField())


class DiffSerializer(serializers.Serializer[Any]):
    """What differs between two versions."""

    lines = serializers.ListField(child=serializers.CharField(allow_blank=True, trim_whitespace=False))


def _data(serializer: type[serializers.Serializer[Any]], request: ApiRequest) -> dict[str, Any]:
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


class PromptList(TenantAPIView):
    """The tenant's prompts."""

    scopes = {"GET": "prompts:read", "POST": "prompts:write"}
    feature = "prompts"

    @describes(PromptsSerializer, name="prompts_list", tag="prompts")
    def get(self, request: ApiRequest) -> Response:
        """Every prompt with its versions and labels, by slug."""
        return Response(PromptsSerializer({"data": workflow.prompts()}).data)

    @describes(PromptSerializer, body=NewPrompt, status=201, name="prompts_create", tag="prompts")
    def post(self, request: ApiRequest) -> Response:
        """Make a prompt with its first version, a draft."""
        made = workflow.create_prompt(by=person_of(request), **_data(NewPrompt, request))
        return Response(PromptSerializer(made).data, status=status.HTTP_201_CREATED)


class PromptOne(TenantAPIView):
    """One prompt."""

    scopes = {"GET": "prompts:read", "PATCH": "prompts:write"}
    feature = "prompts"

    @describes(PromptSerializer, name="prompts_get", tag="prompts")
    def get(self, request: ApiRequest, prompt_id: UUID) -> Response:
        """One prompt with its versions and labels."""
        return Response(PromptSerializer(workflow.prompt_of(str(prompt_id))).data)

    @describes(PromptSerializer, body=ChangePrompt, name="prompts_change", tag="prompts")
    def patch(self, request: ApiRequest, prompt_id: UUID) -> Response:
        """Change what a prompt is called."""
        given, known = _data(ChangePrompt, request), workflow.prompt_of(str(prompt_id))
        terms = {"name": known.name, "description": known.description} | given
        changed = workflow.change_prompt(str(prompt_id), by=person_of(request), **terms)
        return Response(PromptSerializer(changed).data)


class PromptVersions(TenantAPIView):
    """The versions of one prompt."""

    scopes = {"POST": "prompts:write"}
    feature = "prompts"

    @describes(VersionSerializer, body=VersionContent, status=201, name="prompts_draft", tag="prompts")
    def post(self, request: ApiRequest, prompt_id: UUID) -> Response:
        """Write a new version, as a draft."""
        made = workflow.draft_version(str(prompt_id), by=person_of(request), **_data(VersionContent, request))
        return Response(VersionSerializer(made).data, status=status.HTTP_201_CREATED)


class PromptVersionOne(TenantAPIView):
    """One version of a prompt."""

    scopes = {"GET": "prompts:read", "PUT": "prompts:write"}
    feature = "prompts"

    @describes(VersionSerializer, name="prompts_version", tag="prompts")
    def get(self, request: ApiRequest, prompt_id: UUID, number: int) -> Response:
        """One version."""
        return Response(
            VersionSerializer(workflow.version_of(workflow.prompt_of(str(prompt_id)), number)).data
        )

    @describes(VersionSerializer, body=VersionContent, name="prompts_redraft", tag="prompts")
    def put(self, request: ApiRequest, prompt_id: UUID, number: int) -> Response:
        """Rewrite a draft of one's own."""
        changed = workflow.change_draft(
            str(prompt_id), number, by=person_of(request), **_data(VersionContent, request)
        )
        return Response(VersionSerializer(changed).data)


class _Transition(TenantAPIView):
    feature = "prompts"

    def _moved(self, move: Any, request: ApiRequest, prompt_id: UUID, number: int) -> Response:
        _data(StrictSerializer, request)
        return Response(VersionSerializer(move(str(prompt_id), number, by=person_of(request))).data)


class SubmitVersion(_Transition):
    """Giving a draft to review."""

    scopes = {"POST": "prompts:write"}

    @describes(VersionSerializer, name="prompts_submit", tag="prompts")
    def post(self, request: ApiRequest, prompt_id: UUID, number: int) -> Response:
        """Give a draft to review."""
        return self._moved(workflow.submit, request, prompt_id, number)


class ApproveVersion(_Transition):
    """Approving a version."""

    scopes = {"POST": "prompts:approve"}

    @describes(VersionSerializer, name="prompts_approve", tag="prompts")
    def post(self, request: ApiRequest, prompt_id: UUID, number: int) -> Response:
        """Approve somebody else's version, with a key of a member."""
        return self._moved(workflow.approve, request, prompt_id, number)


class RejectVersion(_Transition):
    """Giving a version back."""

    scopes = {"POST": "prompts:approve"}

    @describes(VersionSerializer, name="prompts_reject", tag="prompts")
    def post(self, request: ApiRequest, prompt_id: UUID, number: int) -> Response:
        """Give a version back to its author, as a draft."""
        return self._moved(workflow.reject, request, prompt_id, number)


class RetireVersion(_Transition):
    """Retiring a version."""

    scopes = {"POST": "prompts:approve"}

    @describes(VersionSerializer, name="prompts_retire", tag="prompts")
    def post(self, request: ApiRequest, prompt_id: UUID, number: int) -> Response:
        """Let a version be used no longer."""
        return self._moved(workflow.retire, request, prompt_id, number)


class PromptLabel(TenantAPIView):
    """One label of a prompt."""

    scopes = {"PUT": "prompts:approve"}
    feature = "prompts"

    @describes(PromptSerializer, body=SetLabel, name="prompts_label", tag="prompts")
    def put(self, request: ApiRequest, prompt_id: UUID, label: str) -> Response:
        """Point a label at an approved version, or at none."""
        number = _data(SetLabel, request)["version"]
        changed = workflow.set_label(str(prompt_id), label, number, by=person_of(request))
        return Response(PromptSerializer(changed).data)


class RenderVersion(TenantAPIView):
    """Trying a version."""

    scopes = {"POST": "prompts:read"}
    feature = "prompts"

    @describes(RenderedSerializer, body=RenderPrompt, name="prompts_render", tag="prompts")
    def post(self, request: ApiRequest, prompt_id: UUID) -> Response:
        """A version of any state with these values, as a call would have it. Nothing is called or kept."""
        given = _data(RenderPrompt, request)
        version = workflow.version_of(workflow.prompt_of(str(prompt_id)), given["version"])
        rendered = Template.from_json(version.content).render(given["variables"])
        return Response({"messages": [{"role": role, "content": content} for role, content in rendered]})


class PromptDiff(TenantAPIView):
    """Two versions beside each other."""

    scopes = {"GET": "prompts:read"}
    feature = "prompts"

    @describes(DiffSerializer, name="prompts_diff", tag="prompts")
    def get(self, request: ApiRequest, prompt_id: UUID, older: int, newer: int) -> Response:
        """What differs between two versions, as the lines of a unified diff."""
        return Response({"lines": workflow.differences(str(prompt_id), older, newer)})
