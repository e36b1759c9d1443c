"""For tests that need Stripe: start a double, steer it, read what was asked of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parents[3]
_SECONDS_TO_STOP = 5


@contextmanager
def running_stripe_double(*, port: int = 0) -> Iterator[str]:
    """Run a double in a process of its own and yield its URL. Webhooks go nowhere until an endpoint is
    named."""
    command = [sys.executable, "-m", "deploy.local.stripe_double", "--port", str(port), "--webhook-url", ""]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if " on " not in said:
                raise RuntimeError("The Stripe double did not start; its error is above.")
            yield said.rpartition(" on ")[2].strip()
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()


class DoubleControl:
    """Steers a running double over HTTP as any test could."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fault(self, effect: str, *, times: int = 1, status: int = 500, **match: str) -> None:
        """Let something go wrong: `fault("timeout_after_commit", method="POST", path="/v1/invoices")`."""
        self.call("POST", "/_faults", {"effect": effect, "times": times, "status": status, "match": match})

    def advance(self, seconds: float) -> None:
        """Let Stripe's time pass."""
        self.call("POST", "/_clock", {"advance": seconds})

    def send_webhooks_to(self, url: str, secret: str) -> None:
        """From now on deliver events there, and nowhere else."""
        self.call("POST", "/_webhooks", {"url": url, "secret": secret})

    def deliveries(self) -> list[dict[str, Any]]:
        """Every try at delivering, once each event was tried."""
        found: list[dict[str, Any]] = self.call("GET", "/_webhooks")["deliveries"]
        return found

    def requests(self, **match: str) -> list[dict[str, Any]]:
        """What was asked, oldest first: `requests(method="POST", path="/v1/customers")`."""
        found = self.call("GET", "/_requests")["requests"]
        return [one for one in found if all(one[name] == value for name, value in match.items())]

    def events(self) -> list[dict[str, Any]]:
        """Every event, oldest first."""
        page = self.call("GET", "/v1/events?limit=100")
        found: list[dict[str, Any]] = list(reversed(page["data"]))
        return found

    def pay(self, invoice: str, *, declined: bool = False) -> None:
        """The customer pays on Stripe's page, or fails to."""
        self.call("POST", "/_pay", {"invoice": invoice, "declined": declined}, allow_refusal=declined)

    def reset(self) -> None:
        """Forget objects, faults, keys and time."""
        self.call("POST", "/_reset", {})

    def call(
        self, method: str, path: str, body: Any = None, *, allow_refusal: bool = False
    ) -> dict[str, Any]:
        """One request and its JSON; ValueError where it was refused."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer sk_test_control000000000000000000"}
        with closing(HTTPConnection(urlsplit(self.url).netloc, timeout=10)) as connection:
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.load(response)
        if response.status >= 400 and not allow_refusal:
            raise ValueError(answer["error"])
        return answer
