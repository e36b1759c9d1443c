"""An operator's browser, in a process of the control plane."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from apps.governance.types import Actor
from apps.identity.models import User
from apps.identity.services import create_operator
from tests.factories.people import forget_attempts
from tests.planes import control_plane

EMAIL = "op@platform.example"
PASSWORD = "the operators passphrase"


@pytest.fixture
def operator_plane(settings: Any, db: None) -> Iterator[None]:
    """This process as the operator's: its settings, its role."""
    settings.LOCKSTEP_PLANE = "control"
    settings.AUTHENTICATION_BACKENDS = ["apps.identity.backends.OperatorBackend"]
    settings.SESSION_COOKIE_NAME = "lockstep_operator_sid"
    forget_attempts()
    with control_plane():
        yield


@pytest.fixture
def operator(operator_plane: None) -> User:
    """Somebody who runs the platform."""
    made = create_operator(email=EMAIL, name="Opal", password=PASSWORD, actor=Actor.system("tests"))
    return User.objects.get(pk=made.id)


def browser(**more: Any) -> Client:
    """Somebody's browser at the operator's host."""
    return Client(HTTP_HOST="operator.localhost", **more)


def sign_in(client: Client, email: str = EMAIL, password: str = PASSWORD, **more: Any) -> Any:
    """Send the operator's sign-in form."""
    return client.post("/login/", {"username": email, "password": password, "next": "/"}, **more)


@pytest.fixture
def desk(operator: User) -> Client:
    """A browser in which the operator is signed in."""
    client = browser()
    assert sign_in(client)["Location"] == "/"
    return client


@pytest.fixture
def form_of(desk: Client) -> Callable[[str], dict[str, Any]]:
    """What the browser would send from a page's form if nothing was typed."""

    def read(path: str) -> dict[str, Any]:
        context = desk.get(path).context
        form = context["adminform"].form
        values = {name: form[name].value() for name in form.fields}
        for inline in context.get("inline_admin_formsets", []):
            formset = inline.formset
            prefix = formset.management_form.prefix
            for field in formset.management_form:
                values[f"{prefix}-{field.name}"] = field.value()
            for line in formset.initial_forms:
                values |= {line.add_prefix(name): line[name].value() for name in line.fields}
        return {name: value for name, value in values.items() if value is not None and value is not False}

    return read
