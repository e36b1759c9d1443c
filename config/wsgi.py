"""The operator process, and pages under WSGI where a deployment prefers that."""

from config import env

env.use_defaults_for_servers()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (needs the settings chosen above)

application = get_wsgi_application()
