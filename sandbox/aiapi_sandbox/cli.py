"""`aiapi sandbox up` and `aiapi sandbox down`."""

import asyncio
import logging
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from aiapi_sandbox.state_file import (
    RunningSandbox,
    default_data_dir,
    find_running,
    process_age,
    remove_state_file,
)

WARNING = (
    "For trying out and for tests, never for serving: containers are plain local processes\n"
    "of this user, without isolation and without limits."
)
DETACH_SECONDS = 20.0
STOP_SECONDS = 30.0
LOG_FILE = "sandbox.log"
_PATH = click.Path(path_type=Path)


def parse_images(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> dict[str, Path]:
    """Read NAME=DIR."""
    images = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals or not name or not folder:
            raise click.BadParameter(f"{value!r} is not NAME=DIR")
        if not Path(folder).expanduser().is_dir():
            raise click.BadParameter(f"{value!r}: {folder} is not a directory")
        images[name] = Path(folder).expanduser().resolve()
    return images


@click.group()
def sandbox() -> None:
    """A Kubernetes API and one node on this computer, to try it all without a cluster.

    For trying out and for tests, never for serving: containers are plain local processes of this
    user, without isolation.
    """


@sandbox.command()
@click.option("--kubeconfig", type=_PATH, help="Where to write the kubeconfig (0600).")
@click.option("--data", type=_PATH, help="Directory for the pods' files; emptied at the end.")
@click.option(
    "--image",
    "images",
    multiple=True,
    callback=parse_images,
    metavar="NAME=DIR",
    help="An image whose files (working directory and Python path) are DIR. Repeatable.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the API server.")
@click.option("--cpu", default="64", show_default=True, help="CPUs the node pretends to have.")
@click.option(
    "--memory", default="256Gi", show_default=True, help="Memory the node pretends to have."
)
@click.option(
    "--audit-log", type=_PATH, help="Write who asked the API for what, a JSON line a request."
)
@click.option("--detach", is_flag=True, help="Go to the background; `aiapi sandbox down` stops it.")
def up(  # noqa: PLR0913, PLR0917 - one parameter an option
    kubeconfig: Path | None,
    data: Path | None,
    images: dict[str, Path],
    port: int,
    cpu: str,
    memory: str,
    audit_log: Path | None,
    *,
    detach: bool,
) -> None:
    """Start a sandbox; Ctrl-C stops it and all its pods."""
    data = (data or default_data_dir()).expanduser().resolve() if detach or data else None
    if data is not None and (running := find_running(data)):
        raise click.ClickException(
            f"a sandbox runs with {data} already (pid {running.pid}): "
            f"stop it with `{_down_command(data)}`"
        )
    if detach and data is not None:
        _detach(data)
        return
    from aiapi_sandbox.node.node_registration import NodeCapacity  # noqa: PLC0415 - needs the extra
    from aiapi_sandbox.sandbox import Sandbox, SandboxError  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    instance = Sandbox(
        data_dir=data,
        images=images,
        kubeconfig_path=kubeconfig,
        port=port,
        capacity=NodeCapacity(cpu=cpu, memory=memory),
        audit_log=audit_log,
    )
    try:
        _runner()(_serve(instance, data))
    except SandboxError as error:
        raise click.ClickException(str(error)) from error


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415 - an optional speed-up

        return uvloop.run
    return asyncio.run


async def _serve(instance: Any, data: Path | None) -> None:
    """Run until a signal comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with instance:
        _say_ready(instance)
        if data is not None:
            running = RunningSandbox.of_this_process(
                kubeconfig=instance.kubeconfig_path, url=instance.server.url
            )
            running.write(data)
        await stop.wait()
        click.echo("Stopping the pods")
        if data is not None:
            remove_state_file(data)
    click.echo("Stopped")


def _say_ready(instance: Any) -> None:
    click.echo(
        f"Sandbox ready in {process_age():.1f} s: {instance.server.url}, one node that pretends "
        f"to have {instance.capacity.cpu} CPUs and {instance.capacity.memory}.\n"
        f"{WARNING}\n\n"
        f"  export KUBECONFIG={shlex.quote(str(instance.kubeconfig_path))}\n\n"
        "Ctrl-C or SIGTERM stops it and removes its data."
    )


# --- in the background


def _detach(data: Path) -> None:
    """Start the same command again in a session of its own, and wait until it is ready."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{data}: {error.strerror}; give another --data") from error
    arguments = [part for part in sys.argv[sys.argv.index("up") :] if part != "--detach"]
    if not any(part.partition("=")[0] == "--data" for part in arguments):
        arguments += ["--data", str(data)]
    log = data / LOG_FILE
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "aiapi_sandbox", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    running = _await_ready(child, data)
    if running is None:
        child.kill()
        raise click.ClickException(f"the sandbox did not start:\n{log.read_text().strip()}")
    child.returncode = 0  # it lives on; nobody is to wait for it
    click.echo(log.read_text().rpartition("\n\nCtrl-C")[0])
    click.echo(f"\nIt runs in the background (pid {running.pid}); stop it with")
    click.echo(f"  {_down_command(data)}")


def _await_ready(child: "subprocess.Popen[bytes]", data: Path) -> RunningSandbox | None:
    deadline = time.monotonic() + DETACH_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        if running := find_running(data):
            return running
        time.sleep(0.05)
    return None


def _down_command(data: Path) -> str:
    if data == default_data_dir().resolve():
        return "aiapi sandbox down"
    return f"aiapi sandbox down --data {shlex.quote(str(data))}"


@sandbox.command()
@click.option("--data", type=_PATH, help="The directory given to `up`.")
def down(data: Path | None) -> None:
    """Stop the sandbox in the background. Fine to call when none runs."""
    data = (data or default_data_dir()).expanduser().resolve()
    running = find_running(data)
    if running is None:
        click.echo("No sandbox runs in the background.")
        if data.is_dir():
            _clean(data)
        return
    graceful = running.stop(within=STOP_SECONDS)
    _clean(data)
    ended = "Stopped the sandbox." if graceful else "Killed the sandbox: it did not stop in time."
    click.echo(ended)


def _clean(data: Path) -> None:
    """Remove what a sandbox leaves there; nothing else in the directory is touched."""
    remove_state_file(data)
    shutil.rmtree(data / "pods", ignore_errors=True)
    for name in (LOG_FILE, "kubeconfig"):
        (data / name).unlink(missing_ok=True)
    with suppress(OSError):
        data.rmdir()
