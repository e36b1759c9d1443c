"""Endpoints of policies."""

from typing import Any
from uuid import UUID

from rest_framework.response import Response

from apps.ai_usage import selectors as ai_usage
from apps.governance import selectors, services
from apps.governance.errors import PolicyNotFound
from apps.governance.gates import EveryPlan
from apps.governance.policies.records import PolicyMode, StandingPolicy
from apps.governance.policies.rules import Rules, read_rules
from apps.governance_faces.api.serializers import (
    BoundsSerializer,
    ExplainedSerializer,
    ExplainRequest,
    PolicySerializer,
    PolicyVersionSerializer,
    RestorePolicy,
    SavePolicy,
    ShadowCountSerializer,
    TrialSerializer,
    TryPolicy,
)
from apps.governance_faces.asking import explain
from apps.governance_faces.subjects import name_of, names_of, whose
from apps.keys.rest import ApiRequest, CursorPage, TenantAPIView, describes, page_of

_READ, _WRITE = "settings:read", "settings:write"
_WHY = EveryPlan("whoever is refused may ask why")


def _body(serializer: type[Any], request: ApiRequest) -> dict[str, Any]:
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


class PolicyView(TenantAPIView):
    """A view of one subject's policy; the subject of the tenant's own is called `self`."""

    feature = "policies"

    def subject(self, level: str, subject: str) -> tuple[str, UUID | None, str]:
        """The subject with its name; 404 where there is none."""
        if level == "tenant":
            if subject != "self":
                raise PolicyNotFound
            return level, None, name_of(level, None)
        try:
            subject_id = UUID(subject)
        except ValueError:
            raise PolicyNotFound from None
        return level, subject_id, name_of(level, subject_id)

    def shown(self, standing: StandingPolicy, name: str) -> dict[str, Any]:
        """A standing policy as it is answered."""
        return dict(PolicySerializer(standing, context={"names": {standing.subject_id: name}}).data)


class PolicyList(TenantAPIView):
    """The tenant's policies."""

    scopes = {"GET": _READ}
    feature = "policies"

    @describes(page_of(PolicySerializer), name="policies_list", tag="policies")
    def get(self, request: ApiRequest) -> Response:
        """How each subject's policy stands, the latest changed first; those that were taken away are left out."""
        every = [each for each in selectors.standing_policies() if each.enforced or each.shadow]
        names = names_of((each.level, each.subject_id) for each in every)
        return CursorPage(request).answer(
            fetch=lambda after, limit: [
                each for each in every if after is None or str(each.newest.id) < after
            ][:limit],
            position=lambda each: each.newest.id,
            show=PolicySerializer,
            context={"names": names},
        )


class PolicyOne(PolicyView):
    """One subject's policy."""

    scopes = {"GET": _READ, "PUT": _WRITE, "DELETE": _WRITE}

    @describes(PolicySerializer, name="policies_get", tag="policies")
    def get(self, request: ApiRequest, level: str, subject: str) -> Response:
        """What is in force, and the newer version that only watches."""
        level, subject_id, name = self.subject(level, subject)
        standing = selectors.standing_policy(level, subject_id)
        if standing is None or not (standing.enforced or standing.shadow):
            raise PolicyNotFound
        return Response(self.shown(standing, name))

    @describes(
        PolicyVersionSerializer,
        body=SavePolicy,
        name="policies_save",
        tag="policies",
        asks={"No tools, short answers": {"rules": {"tools": {"allow": []}, "max_output_tokens": 1000}}},
    )
    def put(self, request: ApiRequest, level: str, subject: str) -> Response:
        """Save a new version. It holds, or as a shadow watches, from the next request on."""
        body = _body(SavePolicy, request)
        level, subject_id, _ = self.subject(level, subject)
        saved = services.save_policy(
            level,
            subject_id,
            read_rules(body["rules"]),
            actor=request.actor,
            mode=PolicyMode(body["mode"]),
            note=body["note"],
            based_on=body.get("based_on"),
        )
        return Response(PolicyVersionSerializer(saved).data)

    @describes(None, status=204, name="policies_remove", tag="policies")
    def delete(self, request: ApiRequest, level: str, subject: str) -> Response:
        """Take the policy away, its shadow too. Its versions stay."""
        level, subject_id, _ = self.subject(level, subject)
        services.remove_policy(level, subject_id, actor=request.actor)
        return Response(status=204)


class PolicyVersionList(PolicyView):
    """The versions of one subject's policy."""

    scopes = {"GET": _READ}

    @describes(page_of(PolicyVersionSerializer), name="policies_versions", tag="policies")
    def get(self, request: ApiRequest, level: str, subject: str) -> Response:
        """Every version, newest first."""
        level, subject_id, _ = self.subject(level, subject)
        return CursorPage(request).answer(
            fetch=lambda after, limit: selectors.policy_versions(
                level, subject_id, before=int(after) if after else None, limit=limit
            ),
            position=lambda version: version.number,
            show=PolicyVersionSerializer,
        )


class PolicyVersionOne(PolicyView):
    """One version."""

    scopes = {"GET": _READ}

    @describes(PolicyVersionSerializer, name="policies_version", tag="policies")
    def get(self, request: ApiRequest, level: str, subject: str, number: int) -> Response:
        """A version as it was saved."""
        level, subject_id, _ = self.subject(level, subject)
        return Response(PolicyVersionSerializer(selectors.policy_version(level, subject_id, number)).data)


class PolicyRestore(PolicyView):
    """Rolling back."""

    scopes = {"POST": _WRITE}

    @describes(PolicyVersionSerializer, body=RestorePolicy, name="policies_restore", tag="policies")
    def post(self, request: ApiRequest, level: str, subject: str, number: int) -> Response:
        """Make a new version with the rules of an old one."""
        body = _body(RestorePolicy, request)
        level, subject_id, _ = self.subject(level, subject)
        restored = services.restore_policy(
            level,
            subject_id,
            number,
            actor=request.actor,
            mode=PolicyMode(body["mode"]),
            note=body["note"],
            based_on=body.get("based_on"),
        )
        return Response(PolicyVersionSerializer(restored).data)


class PolicyShadow(PolicyView):
    """What a shadow would have refused."""

    scopes = {"GET": _READ}

    @describes(ShadowCountSerializer, name="policies_shadow", tag="policies")
    def get(self, request: ApiRequest, level: str, subject: str) -> Response:
        """Count what the version in shadow noted since it was saved; 404 where none is in shadow."""
        level, subject_id, _ = self.subject(level, subject)
        standing = selectors.standing_policy(level, subject_id)
        if standing is None or standing.shadow is None:
            raise PolicyNotFound
        version, since = standing.shadow.number, standing.shadow.created_at
        count = ai_usage.count_shadow_refusals(whose(level, subject_id), version, since)
        told = {name: getattr(count, name) for name in ("looked_at", "would_refuse", "refused_by")}
        return Response(ShadowCountSerializer({"version": version, "since": since, **told}).data)


class PolicyBoundsView(TenantAPIView):
    """The operator's bounds."""

    scopes = {"GET": _READ}
    feature = "policies"

    @describes(BoundsSerializer, name="policies_bounds", tag="policies")
    def get(self, request: ApiRequest) -> Response:
        """What the operator allows at most; policies can only tighten it."""
        bounds = selectors.policy_bounds()
        nothing = {"number": None, "is_default": False, "rules": Rules()}
        return Response(BoundsSerializer(_Shown(**nothing) if bounds is None else bounds).data)


class _Shown:
    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)


class PolicyDryRun(TenantAPIView):
    """Trying rules before they are saved."""

    scopes = {"POST": _READ}
    feature = "policies"

    @describes(TrialSerializer, body=TryPolicy, name="policies_dry_run", tag="policies")
    def post(self, request: ApiRequest) -> Response:
        """What these rules would have refused of the newest calls. Nothing is saved."""
        body = _body(TryPolicy, request)
        level, subject_id = body["level"], body["subject_id"]
        name_of(level, subject_id)
        rules = read_rules(body["rules"])
        trial = ai_usage.try_policy(rules, whose(level, subject_id), calls=body["calls"])
        looser = [{"rule": rule, "why": why} for rule, why in services.looser_than_above(level, rules)]
        told = {name: getattr(trial, name) for name in trial.__dataclass_fields__}
        return Response(TrialSerializer(told | {"looser_than_bound": looser}).data)


class PolicyExplain(TenantAPIView):
    """Asking why."""

    scopes = {"POST": _READ}
    feature = _WHY

    @describes(
        ExplainedSerializer,
        body=ExplainRequest,
        name="policies_explain",
        tag="policies",
        asks={
            "A tool": {
                "key_id": "01a1f0b2-0000-7000-8000-000000000000",
                "model": "gpt-4o",
                "tools": [{"type": "web_search"}],
            }
        },
    )
    def post(self, request: ApiRequest) -> Response:
        """What the gateway would answer to a request of a key, with every rule in its order. Nothing is held."""
        return Response(ExplainedSerializer(explain(_body(ExplainRequest, request))).data)
