"""Sign-in and passwords: those of allauth's views that we offer, and no others."""

from allauth.account import views
from django.urls import URLPattern, path, re_path

from apps.identity.services import open_view

_signing_in = open_view("people come here to sign in")
_by_link = open_view("the link in the mail is the proof")
_own_password = open_view(
    "allauth asks for a signed-in member itself; it works while the tenant is suspended"
)

urlpatterns: list[URLPattern] = [
    path("login/", _signing_in(views.login), name="account_login"),
    path("logout/", _signing_in(views.logout), name="account_logout"),
    path("inactive/", _signing_in(views.account_inactive), name="account_inactive"),
    path("password/change/", _own_password(views.password_change), name="account_change_password"),
    path("password/reset/", _by_link(views.password_reset), name="account_reset_password"),
    path("password/reset/done/", _by_link(views.password_reset_done), name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        _by_link(views.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        _by_link(views.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
]
