"""Pages below /keys/."""

from django.urls import path

from apps.keys.portal import accounts, changes, views

app_name = "keys"
urlpatterns = [
    path("", views.key_list, name="list"),
    path("create/", views.create, name="create"),
    path("service-accounts/", accounts.service_accounts, name="service-accounts"),
    path("service-accounts/<uuid:account_id>/disable/", accounts.disable_account, name="disable-account"),
    path("service-accounts/<uuid:account_id>/enable/", accounts.enable_account, name="enable-account"),
    path("rules/", accounts.rules, name="rules"),
    path("<uuid:key_id>/", views.detail, name="detail"),
    path("<uuid:key_id>/edit/", changes.edit, name="edit"),
    path("<uuid:key_id>/child/", changes.child, name="child"),
    path("<uuid:key_id>/rotate/", changes.rotate, name="rotate"),
    path("<uuid:key_id>/disable/", changes.disable, name="disable"),
    path("<uuid:key_id>/enable/", changes.enable, name="enable"),
    path("<uuid:key_id>/revoke/", changes.revoke, name="revoke"),
]
