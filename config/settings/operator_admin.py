"""The operator admin: django-unfold in our colours."""

UNFOLD = {
    "SITE_TITLE": "Lockstep operator",
    "SITE_HEADER": "Lockstep operator",
    "SITE_SUBHEADER": "Control plane",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
}
