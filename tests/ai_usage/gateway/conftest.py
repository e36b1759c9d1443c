"""A web process and a model simulator per worker, and callers of tenants of their own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import anthropic
import openai
import pytest
import requests

from apps.tenancy.services import in_tenant
from deploy.local.model_simulator.testing import SimulatorControl, running_model_simulator
from tests.factories.keys import make_key
from tests.planes import control_plane
from tests.system import Web, running_web


@pytest.fixture(scope="session")
def simulator(services: Any, django_db_setup: None, django_db_blocker: Any) -> Iterator[SimulatorControl]:
    """The provider behind every route of the test catalogue."""
    from apps.ai_usage.models import Provider

    with running_model_simulator() as url:
        with django_db_blocker.unblock(), control_plane():
            Provider.objects.filter(name="openai").update(base_url=f"{url}/v1")
            Provider.objects.filter(name="anthropic").update(base_url=url)
        yield SimulatorControl(url)


@pytest.fixture(scope="session")
def web(services: Any, simulator: SimulatorControl) -> Iterator[Web]:
    """The product's web process."""
    with running_web(services) as web:
        yield web


@dataclass
class TestCaller:
    """A tenant with a key, and clients that use it."""

    __test__ = False

    tenant: Any
    secret: str
    key_id: UUID
    web: Web

    @property
    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(api_key=self.secret, base_url=f"{self.web.url}/v1", max_retries=0)

    @property
    def anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key=self.secret, base_url=self.web.url, max_retries=0)

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        """A plain POST with the key."""
        headers = {"authorization": f"Bearer {self.secret}"} | more.pop("headers", {})
        if body is not None:
            more["json"] = body
        return requests.post(f"{self.web.url}{path}", headers=headers, timeout=30, **more)

    def get(self, path: str) -> requests.Response:
        """A plain GET with the key."""
        return requests.get(
            f"{self.web.url}{path}", headers={"authorization": f"Bearer {self.secret}"}, timeout=30
        )

    def chat(self, text: str = "Hello", model: str = "gpt-4o-mini", **more: Any) -> requests.Response:
        """One chat completion as plain HTTP."""
        return self.post(
            "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}]} | more
        )

    def events(self) -> list[Any]:
        """The tenant's usage events, oldest first."""
        from apps.ai_usage.models import UsageEvent

        with in_tenant(self.tenant):
            return list(UsageEvent.objects.order_by("occurred_at", "id"))

    def calls(self) -> list[Any]:
        """The tenant's calls, oldest first."""
        from apps.ai_usage.models import Call

        with in_tenant(self.tenant):
            return list(Call.objects.order_by("started_at", "id"))


@pytest.fixture
def caller(fresh_tenant: Callable[..., Any], web: Web) -> TestCaller:
    """A caller of a tenant that no other test has seen, with roomy limits."""
    return make_caller(fresh_tenant(), web)


@pytest.fixture
def new_caller(fresh_tenant: Callable[..., Any], web: Web) -> Callable[..., TestCaller]:
    """Makes callers with limits of their own: `new_caller(spend_per_month="0.01")`."""

    def make(key: dict[str, Any] | None = None, **limits: Any) -> TestCaller:
        return make_caller(fresh_tenant(**limits), web, **(key or {}))

    return make


def make_caller(tenant: Any, web: Web, **key: Any) -> TestCaller:
    """A key of a tenant as a caller."""
    with in_tenant(tenant):
        issued = make_key(**key)
    return TestCaller(tenant, issued.secret, issued.key.id, web)
