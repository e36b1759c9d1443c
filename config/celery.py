"""The worker application. Its beat has one duty: to ring for what the tickets in PostgreSQL say is due."""

from celery import Celery
from celery.signals import setup_logging
from kombu import Queue

from config import env

env.use_defaults_for_servers()

app = Celery("lockstep")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def use_django_logging(**_: object) -> None:
    """Keep Celery from replacing the structured logs with its own."""
    from logging.config import dictConfig

    from django.conf import settings

    dictConfig(settings.LOGGING)


app.conf.task_queues = [Queue(name) for name in ("interactive", "default", "bulk", "webhooks", "billing")]
