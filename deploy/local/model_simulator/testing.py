"""For tests that need a model provider: start a simulator, steer it, read what it would bill."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

_ROOT = Path(__file__).resolve().parents[3]
_SECONDS_TO_STOP = 5


@contextmanager
def running_model_simulator(*, port: int = 0, api_keys: tuple[str, ...] = ()) -> Iterator[str]:
    """Run a simulator in a process of its own and yield its URL, such as `http://127.0.0.1:43121`.

    Its OpenAI base URL is `f"{url}/v1"`, its Anthropic base URL (as that SDK wants it) is `url`.
    """
    command = [sys.executable, "-m", "deploy.local.model_simulator", "--port", str(port)]
    for key in api_keys:
        command += ["--api-key", key]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if " on " not in said:
                raise RuntimeError("The model simulator did not start; its error is above.")
            yield said.rpartition(" on ")[2].strip()
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()


class SimulatorControl:
    """Steers a running simulator and reads its log, over HTTP as any test could."""

    def __init__(self, url: str) -> None:
        self.url = url

    def add_fault(self, effect: dict[str, Any], *, match: dict[str, Any] | None = None, **rule: Any) -> str:
        """Add a rule (`times`, `after`, `probability` and `seed` as keywords) and return its id."""
        given = {"match": match or {}, "effect": effect, **rule}
        return str(self._call("POST", "/_faults", given)["rules"][0]["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Return the rules and how often each was applied."""
        rules: list[dict[str, Any]] = self._call("GET", "/_faults")["rules"]
        return rules

    def served(self, **filters: Any) -> list[dict[str, Any]]:
        """Return what was served, oldest first; README.md lists the filters."""
        found: list[dict[str, Any]] = self._call("GET", f"/_served?{urlencode(filters)}")["served"]
        return found

    def settled(self, *, seconds: float = 5, **filters: Any) -> list[dict[str, Any]]:
        """Return what was served once nothing is being answered any more."""
        deadline = time.monotonic() + seconds
        while self._call("GET", "/_served?limit=0")["in_progress"]:
            if time.monotonic() > deadline:
                raise TimeoutError("The model simulator is still answering.")
            time.sleep(0.01)
        return self.served(**filters)

    def last_seq(self) -> int:
        """Return the number of the newest entry, to be given to `served(since=…)` later."""
        return int(self._call("GET", "/_served?limit=0")["last_seq"])

    def release(self) -> None:
        """Let the answers go that a rule with `held` keeps back."""
        self._call("POST", "/_release", {})

    def in_progress(self) -> int:
        """Return how many requests are being answered."""
        return int(self._call("GET", "/_served?limit=0")["in_progress"])

    def reset(self) -> None:
        """Forget rules, log and prompt cache."""
        self._call("POST", "/_reset", {})

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with closing(HTTPConnection(urlsplit(self.url).netloc, timeout=10)) as connection:
            connection.request(method, path, body=data)
            response = connection.getresponse()
            answer: dict[str, Any] = json.load(response)
        if response.status >= 400:
            raise ValueError(answer["error"])
        return answer
