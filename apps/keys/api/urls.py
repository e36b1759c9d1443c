"""The API of this app, below /api/v1/."""

from django.urls import path

from apps.keys.api import keys, leaks, tenant

urlpatterns = [
    path("whoami", tenant.WhoAmI.as_view(), name="api-whoami"),
    path("keys", keys.KeyList.as_view(), name="api-keys"),
    path("keys/introspect", keys.KeyIntrospection.as_view(), name="api-key-introspect"),
    path("keys/<uuid:key_id>", keys.KeyOne.as_view(), name="api-key"),
    path("keys/<uuid:key_id>/rotate", keys.KeyRotation.as_view(), name="api-key-rotate"),
    path("keys/<uuid:key_id>/revoke", keys.KeyRevocation.as_view(), name="api-key-revoke"),
    path("keys/<uuid:key_id>/disable", keys.KeyDisabling.as_view(), name="api-key-disable"),
    path("keys/<uuid:key_id>/enable", keys.KeyEnabling.as_view(), name="api-key-enable"),
    path("keys/<uuid:key_id>/children", keys.KeyChildren.as_view(), name="api-key-children"),
    path("key-policy", tenant.KeyPolicyView.as_view(), name="api-key-policy"),
    path("service-accounts", tenant.ServiceAccountList.as_view(), name="api-service-accounts"),
    path(
        "service-accounts/<uuid:account_id>", tenant.ServiceAccountOne.as_view(), name="api-service-account"
    ),
    path(
        "service-accounts/<uuid:account_id>/disable",
        tenant.ServiceAccountDisabling.as_view(),
        name="api-service-account-disable",
    ),
    path(
        "service-accounts/<uuid:account_id>/enable",
        tenant.ServiceAccountEnabling.as_view(),
        name="api-service-account-enable",
    ),
    path("leaks", leaks.LeakReport.as_view(), name="api-leaks"),
    path("leaks/partner", leaks.PartnerLeakReport.as_view(), name="api-leaks-partner"),
]
