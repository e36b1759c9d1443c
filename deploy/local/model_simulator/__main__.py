"""Run the model simulator: `python -m deploy.local.model_simulator --port 8010`."""

import argparse
import asyncio
import signal

import uvloop
from aiohttp import web

from deploy.local.model_simulator.control import application
from deploy.local.model_simulator.server import Simulator

_SECONDS_TO_FINISH = 2.0


async def serve(host: str, port: int, api_keys: frozenset[str]) -> None:
    """Serve until SIGINT or SIGTERM, then let what is in flight finish for a moment."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    # A handler whose client went away is cancelled: a stream then stops, and is billed no further, at once.
    runner = web.AppRunner(
        application(Simulator(api_keys)),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SECONDS_TO_FINISH,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=4096).start()
        bound = runner.addresses[0]
        print(f"Model simulator ready on http://{bound[0]}:{bound[1]}", flush=True)
        await stopping.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="model_simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and prints it")
    parser.add_argument(
        "--api-key",
        action="append",
        default=[],
        help="accept only this key (repeatable); without it, any key",
    )
    options = parser.parse_args()
    uvloop.run(serve(options.host, options.port, frozenset(options.api_key)))


if __name__ == "__main__":
    main()
