"""Other gateways on the same core, where they can be installed; both do less: no database, no limits."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.system import Server, started
from tests.benchmarks.upstream import Upstream
from tests.system import free_port

_PATIENCE = 900


class PeerMissing(Exception):
    """A peer cannot be installed here; the message says why."""


@contextmanager
def running_peers(
    home: Path, directory: Path, upstream: Upstream
) -> Iterator[tuple[list[Server], list[str]]]:
    """Those that can be installed, and a sentence about each that cannot. `home` keeps them for the next time."""
    with ExitStack() as stack:
        servers, missing = [], []
        for peer in (_litellm, _portkey):
            try:
                servers.append(stack.enter_context(peer(home, directory, upstream)))
            except (PeerMissing, RuntimeError) as error:
                missing.append(f"{peer.__name__.lstrip('_')} is left out: {str(error)[-300:]}")
        yield servers, missing


@contextmanager
def _litellm(home: Path, directory: Path, upstream: Upstream) -> Iterator[Server]:
    program = home / "litellm" / "bin" / "litellm"
    if not program.exists():
        _install([sys.executable, "-m", "venv", str(home / "litellm")])
        _install([str(home / "litellm" / "bin" / "pip"), "install", "--quiet", "litellm[proxy]"])
    configuration = directory / "litellm.yaml"
    configuration.write_text(
        "model_list:\n  - model_name: whole\n    litellm_params:\n"
        f"      {{model: openai/gpt-4o-mini, api_base: '{upstream.whole}', api_key: sk-benchmark}}\n"
        "litellm_settings: {telemetry: false, drop_params: true}\n"
    )
    port = free_port()
    command = [str(program), "--config", str(configuration), "--host", "127.0.0.1", "--port", str(port)]
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    # Without a key of its own to check it has even less to do.
    open_to_all = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    quiet = clean | open_to_all | {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with started(
        "litellm", command, directory, quiet, f"http://127.0.0.1:{port}/health/liveliness", 90
    ) as pid:
        yield Server("litellm", port, pid, {"authorization": "Bearer sk-benchmark"})


@contextmanager
def _portkey(home: Path, directory: Path, upstream: Upstream) -> Iterator[Server]:
    program = home / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise PeerMissing("there is no npm.")
        _install(
            [
                npm,
                "install",
                "--prefix",
                str(home / "portkey"),
                "--no-audit",
                "--no-fund",
                "@portkey-ai/gateway",
            ]
        )
    port = free_port()
    command = ["node", str(program), f"--port={port}", "--headless"]
    with started("portkey", command, directory, dict(os.environ), f"http://127.0.0.1:{port}/", 60) as pid:
        headers = {"authorization": "Bearer sk-benchmark", "x-portkey-provider": "openai"}
        yield Server("portkey", port, pid, headers | {"x-portkey-custom-host": upstream.whole})


def _install(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"{command[0]} did not finish: {error}") from error
    if done.returncode:
        raise PeerMissing(f"it could not be installed: {done.stderr.strip()[-200:]}")
