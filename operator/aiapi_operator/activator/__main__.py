"""``python -m aiapi_operator.activator``: the activator process."""

import asyncio
import logging
import resource
import signal
from typing import Any

import click
import uvloop

from aiapi_operator.activator.service import run
from aiapi_operator.activator.settings import Settings
from aiapi_operator.process import log_setup
from aiapi_operator.process.command import exit_on_failure
from aiapi_operator.process.settings import VERSION

_log = logging.getLogger("aiapi_operator.activator")


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)


def _raise_file_limit() -> None:
    """Each AIApi has a listening port, and each request two connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--namespace", "namespaces", multiple=True, help="Watch only this namespace; repeatable."
)
@click.option("--host", help="Address to listen on.")
@click.option("--admin-port", type=click.IntRange(0, 65535), help="Port for health and metrics.")
@click.version_option(VERSION)
def main(**flags: Any) -> None:
    """Hold requests for AIApis at zero pods, wake them, and forward the requests.

    Each option and further settings can be set as AIAPI_ACTIVATOR_<OPTION> in the environment.
    """
    settings = Settings(**{key: value for key, value in flags.items() if value not in (None, ())})
    log_setup.configure(style=settings.log_format, level=settings.log_level)
    _raise_file_limit()
    with exit_on_failure(_log, "the activator"):
        uvloop.run(_serve(settings))


if __name__ == "__main__":
    main()
