"""Pages about people, on a tenant's host."""

from django.urls import path

from apps.identity.portal import own, views

app_name = "identity"
urlpatterns = [
    path("", views.member_list, name="members"),
    path("sessions/", own.sessions, name="sessions"),
    path("sessions/end-others/", own.end_other_sessions, name="end_other_sessions"),
    path("sessions/<uuid:session_id>/end/", own.end_session, name="end_session"),
    path("rename/", own.rename, name="rename"),
    path("<uuid:member_id>/", views.member_detail, name="member"),
    path("<uuid:member_id>/deactivate/", views.deactivate, name="deactivate"),
    path("<uuid:member_id>/reactivate/", views.reactivate, name="reactivate"),
    path("<uuid:member_id>/invite/", views.invite_again, name="invite_again"),
    path("<uuid:member_id>/sign-out/", views.end_members_sessions, name="end_members_sessions"),
]
