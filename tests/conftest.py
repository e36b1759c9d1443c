"""Embedded services once per run, one database per worker cloned from a template, two tenants in each."""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import pytest
from xdist.scheduler import LoadGroupScheduling

# A slow moment of a shared machine is no property of the code.
hypothesis.settings.register_profile(
    "shared machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machine")

SPARE_SCHEMAS = 4


class _OneWorkerForTheJourneys(LoadGroupScheduling):
    """Tests go to whichever worker is free, but those of one running system all to the same.

    Said here by folder: pytest-xdist 3.8 marks groups in a place where pytest 9.2 no longer looks.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "journeys" if nodeid.startswith("tests/journeys/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling:
    """How tests are dealt out to workers."""
    return _OneWorkerForTheJourneys(config, log)


def pytest_configure_node(node: Any) -> None:
    """Hand the controller's services to each xdist worker."""
    services = _services(node.config)
    node.workerinput["services"] = {
        "control_url": services.control_url,
        "tenant_url": services.tenant_url,
        "superuser_url": services.superuser_url,
        "valkey_url": services.valkey_url,
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this process started."""
    stop = config.stash.get(_STOP, None)
    if stop is not None:
        stop()


_SERVICES: pytest.StashKey[Any] = pytest.StashKey()
_STOP: pytest.StashKey[Callable[[], None]] = pytest.StashKey()


def _services(config: pytest.Config) -> Any:
    """The run's PostgreSQL and Valkey, started when first asked for."""
    if hasattr(config, "workerinput"):
        return _Handed(config.workerinput["services"])
    if _SERVICES not in config.stash:
        from deploy.local.testing import throwaway_services

        entered = throwaway_services()
        services = entered.__enter__()
        config.stash[_SERVICES] = services
        config.stash[_STOP] = lambda: entered.__exit__(None, None, None)
        _make_template(services)
    return config.stash[_SERVICES]


class _Handed:
    def __init__(self, addresses: dict[str, str]) -> None:
        self.control_url = addresses["control_url"]
        self.tenant_url = addresses["tenant_url"]
        self.superuser_url = addresses["superuser_url"]
        self.valkey_url = addresses["valkey_url"]


def _make_template(services: Any) -> None:
    """Migrate once, in a process of its own so that this one keeps no connection to the template."""
    import subprocess
    import sys

    environment = os.environ | {
        "DATABASE_URL": services.control_url,
        "CONTROL_DATABASE_URL": services.control_url,
        "VALKEY_URL": services.valkey_url,
        "LOCKSTEP_PLANE": "control",
        "TEST_BEGINS_AS_TENANT_PLANE": "0",
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }
    made = subprocess.run(
        [sys.executable, "-m", "tests.template_database", str(SPARE_SCHEMAS)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise pytest.UsageError(f"The template database could not be made:\n{made.stdout}\n{made.stderr}")


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest) -> Any:
    """Addresses of this run's PostgreSQL and Valkey: control_url, tenant_url, superuser_url, valkey_url.

    The database in the URLs is this worker's own, and so is the Valkey database number.
    """
    from deploy.local.roles import clone_database

    run = _services(request.config)
    worker = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    name = f"test_{worker}"
    # From the database `postgres`: a connection to the template would keep the other workers from copying it.
    template = urlsplit(run.control_url).path.lstrip("/")
    clone_database(_with_path(run.superuser_url, "postgres"), template, name)
    number = int(worker.removeprefix("gw")) + 1
    return _Handed(
        {
            "control_url": _with_path(run.control_url, name),
            "tenant_url": _with_path(run.tenant_url, name),
            "superuser_url": _with_path(run.superuser_url, name),
            "valkey_url": _with_path(run.valkey_url, str(number)),
        }
    )


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


@pytest.fixture(scope="session")
def django_db_setup(services: Any, django_db_blocker: Any) -> Iterator[None]:
    """Point Django at this worker's clone instead of making a test database by migrating."""
    from django.conf import settings
    from django.core.cache import caches
    from django.db import connections

    from config.settings.databases import postgres

    found = postgres(services.control_url)
    for holder in (settings.DATABASES["default"], connections["default"].settings_dict):
        holder.update({key: found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})
    settings.TENANT_DATABASE_URL = services.tenant_url
    settings.CONTROL_DATABASE_URL = services.control_url
    settings.VALKEY_URL = services.valkey_url
    settings.CELERY_BROKER_URL = services.valkey_url
    settings.CACHES["default"]["LOCATION"] = services.valkey_url
    caches.settings["default"]["LOCATION"] = services.valkey_url
    with contextlib.suppress(AttributeError):
        del caches["default"]
    yield
    connections.close_all()


@pytest.fixture(autouse=True)
def _public_scope_of_fixtures() -> Iterator[None]:
    """pytest-django opens transactions around a test; that bookkeeping happens in the public scope, said here.

    A test enters a tenant itself; what it runs in threads and tasks of its own starts without any scope.
    """
    from apps.tenancy.context import PUBLIC, in_scope

    with in_scope(PUBLIC):
        yield


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Real commits, for what several connections or processes must see. Nothing is rolled back or emptied
    afterwards, so such a test works in tenants of its own (`fresh_tenant`).
    """
    from django.db import connection

    with django_db_blocker.unblock():
        yield
        connection.close()


@pytest.fixture
def fresh_tenant(committed: None) -> Callable[..., Any]:
    """Makes a ready tenant that no other test has seen: `fresh_tenant(requests_per_minute=5, …)`."""
    from tests.factories.tenants import make_tenant
    from tests.planes import control_plane

    def make(**limits: Any) -> Any:
        with control_plane():
            return make_tenant(f"t{uuid.uuid4().hex[:12]}", **limits)

    return make


def _database(request: pytest.FixtureRequest) -> None:
    """A transaction that is rolled back, unless the test asked for real commits."""
    if "committed" not in request.fixturenames:
        request.getfixturevalue("db")


@pytest.fixture
def acme(request: pytest.FixtureRequest) -> Any:
    """A ready tenant on the plan `business` of the test catalogue, from the template database."""
    _database(request)
    from apps.tenancy.selectors import tenant_by_slug

    return tenant_by_slug("acme")


@pytest.fixture
def globex(request: pytest.FixtureRequest) -> Any:
    """Another ready tenant, on the plan `starter`: whatever acme does must not be seen here."""
    _database(request)
    from apps.tenancy.selectors import tenant_by_slug

    return tenant_by_slug("globex")
