"""`make up`: the local system on one machine."""

from config import env

env.use_local_system()

from config.settings.base import *  # noqa: E402, F403

EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = env.home() / "mail"
