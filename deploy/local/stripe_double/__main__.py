"""Run the Stripe double: `python -m deploy.local.stripe_double --port 8011`."""

import argparse
import asyncio
import signal

from aiohttp import web

from deploy.local.settings import OPERATOR_OFFSET, process_environment
from deploy.local.stripe_double.control import application
from deploy.local.stripe_double.server import Double
from deploy.local.stripe_double.webhooks import Endpoint


async def serve(host: str, port: int, endpoints: list[Endpoint]) -> None:
    """Serve until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    runner = web.AppRunner(application(Double(), endpoints), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        print(f"Stripe double ready on http://{bound[0]}:{bound[1]}", flush=True)
        await stopping.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Read the command line and serve. Beside `make up`, webhooks go to its operator process."""
    environment = process_environment()
    operator = int(environment.get("LOCKSTEP_PORT") or 8000) + OPERATOR_OFFSET
    secret = (environment.get("STRIPE_WEBHOOK_SECRETS") or "").partition(",")[0]
    parser = argparse.ArgumentParser(prog="stripe_double", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and prints it")
    parser.add_argument(
        "--webhook-url", default=f"http://127.0.0.1:{operator}/stripe/webhook" if secret else ""
    )
    options = parser.parse_args()
    endpoints = [Endpoint(options.webhook_url, secret)] if options.webhook_url and secret else []
    asyncio.run(serve(options.host, options.port, endpoints))


if __name__ == "__main__":
    main()
