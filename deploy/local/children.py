"""The product's own processes: their environment, command lines and signs of readiness."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.postgres import PostgresServer
from deploy.local.probes import answers_http, says_yes
from deploy.local.program import NO_LINE, Program
from deploy.local.roles import DatabaseUrls
from deploy.local.secret_store import Secrets
from deploy.local.settings import ROOT, LocalSettings
from deploy.local.valkey import ValkeyServer

# What a simulated provider is called with; it looks at no key.
_NO_KEY = "simulated"
# Django's checks have run in migrate_all; dj-stripe's ask the database, which a worker does in a tenant only.
_CELERY = ("-m", "celery", "-A", "config", "--skip-checks")

# The console shows what somebody should look at; the logs have everything.
_PROBLEMS = re.compile(r"\b(warn|warning|error|critical|fatal|panic|traceback|exception)\b", re.IGNORECASE)


def lockstep_environment(
    settings: LocalSettings, secrets: Secrets, databases: DatabaseUrls, valkey_url: str
) -> dict[str, str]:
    """The variables by which every process, and a management command typed beside them, finds this system."""
    environment = {
        "LOCKSTEP_HOME": str(settings.home),
        "LOCKSTEP_PORT": str(settings.port),
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        "DATABASE_URL": databases.tenant,
        "CONTROL_DATABASE_URL": databases.control,
        "VALKEY_URL": valkey_url,
        "SECRET_KEY": secrets.secret_key,
        "KEY_PEPPER": secrets.key_pepper,
        "CREDENTIAL_KEY": secrets.credential_key,
        "AUDIT_SIGNING_KEYS": f"local:{secrets.audit_key}",
    }
    if settings.simulates_models:
        environment["MODEL_SIMULATOR_URL"] = settings.urls["model_simulator"]
    environment |= _provider_addresses(settings)
    if settings.simulates_stripe:
        environment |= {
            "STRIPE_API_BASE": settings.urls["stripe_double"],
            "STRIPE_SECRET_KEY": "sk_test_lockstepStripeDouble000000",
            "STRIPE_WEBHOOK_SECRETS": secrets.stripe_webhook_secret,
        }
    return environment


def _provider_addresses(settings: LocalSettings) -> dict[str, str]:
    """Where deploy/catalogues/demo.yaml finds each provider: the real one with its key, or the simulator.

    The addresses have the form of each SDK's own default, OpenAI's with the version, Anthropic's without.
    """
    addresses = {
        "OPENAI_BASE_URL": "https://api.openai.com/v1",
        "ANTHROPIC_BASE_URL": "https://api.anthropic.com",
    }
    if not settings.has_openai:
        addresses |= {"OPENAI_BASE_URL": f"{settings.urls['model_simulator']}/v1", "OPENAI_API_KEY": _NO_KEY}
    if not settings.has_anthropic:
        addresses |= {"ANTHROPIC_BASE_URL": settings.urls["model_simulator"], "ANTHROPIC_API_KEY": _NO_KEY}
    return addresses


def service_program(server: PostgresServer | ValkeyServer, environment: Mapping[str, str]) -> Program:
    """An embedded service under the supervisor."""
    return Program(
        name=server.name,
        command=server.command(),
        environment=environment,
        ready=says_yes(server.is_ready),
        directory=server.directory,
        user=server.user,
        stop_signal=server.stop_signal,
        grace=20,
        shown=NO_LINE,
    )


@dataclass(frozen=True)
class Children:
    """The programs of one local system. `environment` is what all of them get."""

    settings: LocalSettings
    environment: Mapping[str, str] = field(repr=False)

    def simulators(self) -> list[Program]:
        """What takes the place of the providers and of Stripe."""
        names = [name for name in ("model_simulator", "stripe_double") if name in self.settings.ports]
        return [self._simulator(name) for name in names]

    def migrations(self) -> Program:
        """Brings public, then every tenant, to the code's schema."""
        return self._python("migrate", "manage.py", "migrate_all", plane="control")

    def bootstrap(self) -> Program:
        """Makes the demo operator, catalogue and tenants where they are missing, and prints them as JSON."""
        return self._python(
            "bootstrap", "manage.py", "bootstrap_demo", "--json", plane="control", captured=True
        )

    def servers(self) -> list[Program]:
        """Web, operator, workers and beat."""
        return [self._web(), self._operator(), self._worker(), self._billing_worker(), self._beat()]

    def _web(self) -> Program:
        port = self.settings.ports["web"]
        return self._granian(
            "web",
            port,
            *("--interface", "asgi", "config.asgi:application", "--loop", "uvloop", "--no-ws"),
            # Its own default is 1,024 requests at once a process; a slow stream is a request all along.
            *("--backpressure", "16384", "--backlog", "4096"),
            *("--workers", str(self.settings.web_workers)),
            plane="tenant",
        )

    def _operator(self) -> Program:
        port = self.settings.ports["operator"]
        return self._granian(
            "operator",
            port,
            *("--interface", "wsgi", "config.wsgi:application", "--blocking-threads", "4"),
            plane="control",
        )

    def _worker(self) -> Program:
        return self._celery_worker("worker", "interactive,default,bulk,webhooks", threads=8, plane="tenant")

    def _billing_worker(self) -> Program:
        return self._celery_worker("worker_billing", "billing", threads=2, plane="control", node="billing")

    def _beat(self) -> Program:
        schedule = self.settings.home / "beat-schedule"
        return self._python(
            "beat",
            *(*_CELERY, "beat", "--schedule", str(schedule), "--pidfile", "", "--loglevel", "INFO"),
            plane="control",
            ready_line=re.compile(r"beat: Starting"),
        )

    def _simulator(self, name: str) -> Program:
        port = self.settings.ports[name]
        return self._python(
            name,
            *("-m", f"deploy.local.{name}", "--port", str(port)),
            plane="tenant",
            ready=answers_http(port, "/health/live"),
        )

    def _granian(self, name: str, port: int, *options: str, plane: str) -> Program:
        return self._python(
            name,
            *("-m", "granian", *options, "--host", "127.0.0.1", "--port", str(port)),
            # Below the supervisor's grace, so that granian kills its hanging workers itself.
            *("--workers-kill-timeout", "8"),
            plane=plane,
            ready=answers_http(port, "/health/ready"),
        )

    def _celery_worker(
        self, name: str, queues: str, *, threads: int, plane: str, node: str = "worker"
    ) -> Program:
        return self._python(
            name,
            *(*_CELERY, "worker", "-Q", queues, "--pool", "threads", "-c", str(threads)),
            # Asking the other workers for their state would delay each start by a second, for nothing we use.
            *("-n", f"{node}@%h", "--without-mingle", "--without-gossip"),
            plane=plane,
            ready_line=re.compile(rf"{node}@\S+ ready\."),
        )

    def _python(self, name: str, *arguments: str, plane: str, **options: object) -> Program:
        return Program(
            name=name,
            command=[Path(sys.executable), *arguments],
            environment={**self.environment, "LOCKSTEP_PLANE": plane, "PYTHONUNBUFFERED": "1"},
            directory=ROOT,
            shown=_PROBLEMS,
            **options,  # type: ignore[arg-type]
        )
