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
    "For development and tests only, never for production: containers are local processes\n"
    "of this user, without isolation and without resource limits."
)
DETACH_SECONDS = 20.0
STOP_SECONDS = 30.0
LOG_FILE = "sandbox.log"
_PATH = click.Path(path_type=Path)


def parse_images(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> dict[str, Path]:
    """Parse NAME=DIR."""
    images = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals or not name or not folder:
            raise click.BadParameter(f"{value!r} is not of the form NAME=DIR")
        if not Path(folder).expanduser().is_dir():
            raise click.BadParameter(f"{value!r}: {folder} is not a directory")
        images[name] = Path(folder).expanduser().resolve()
    return images


@click.group()
def sandbox() -> None:
    """Run a Kubernetes API and one node on this machine, without a cluster.

    For development and tests only, never for production: containers are local processes of this
    user, without isolation.
    """


@sandbox.command()
@click.option("--kubeconfig", type=_PATH, help="Path of the kubeconfig (written with mode 0600).")
@click.option(
    "--data", type=_PATH, help="Directory for the pods' files, which are deleted at the end."
)
@click.option(
    "--image",
    "images",
    multiple=True,
    callback=parse_images,
    metavar="NAME=DIR",
    help="Map an image to a directory: its working directory, with the interpreter in its .venv or "
    "venv if it has one. Repeatable.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the API server; 0 selects a free port.",
)
@click.option("--cpu", help="Simulated CPU capacity of the node. Default: the machine's cores.")
@click.option(
    "--memory", help="Simulated memory capacity of the node. Default: the machine's memory."
)
@click.option(
    "--audit-log", type=_PATH, help="Path of the API audit log, with one JSON line per request."
)
@click.option(
    "--service-delay",
    type=click.FloatRange(0.0, 60.0),
    default=0.0,
    show_default=True,
    help="Seconds after which the Service proxy uses changed endpoints, as kube-proxy may take.",
)
@click.option(
    "--detach", is_flag=True, help="Run in the background; stop it with `aiapi sandbox down`."
)
def up(  # noqa: PLR0913, PLR0917 - one parameter per option
    kubeconfig: Path | None,
    data: Path | None,
    images: dict[str, Path],
    port: int,
    cpu: str | None,
    memory: str | None,
    audit_log: Path | None,
    service_delay: float,
    *,
    detach: bool,
) -> None:
    """Start a sandbox. Ctrl-C stops it and all its pods."""
    data = (data or default_data_dir()).expanduser().resolve() if detach or data else None
    if data is not None and (running := find_running(data)):
        raise click.ClickException(
            f"a sandbox is already running with {data} (PID {running.pid}); "
            f"stop it with `{_down_command(data)}`"
        )
    if detach and data is not None:
        _detach(data)
        return
    from aiapi_sandbox.node.node_registration import NodeCapacity  # noqa: PLC0415 - needs the extra
    from aiapi_sandbox.sandbox import Sandbox, SandboxError  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    given = {"cpu": cpu, "memory": memory}
    instance = Sandbox(
        data_dir=data,
        images=images,
        kubeconfig_path=kubeconfig,
        port=port,
        capacity=NodeCapacity(**{k: v for k, v in given.items() if v is not None}),
        audit_log=audit_log,
        service_delay=service_delay,
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
    """Run until SIGINT, SIGTERM or SIGHUP."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with instance:
        _print_ready(instance)
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


def _print_ready(instance: Any) -> None:
    click.echo(
        f"Sandbox ready in {process_age():.1f} s: {instance.server.url}, one node with a simulated "
        f"capacity of {instance.capacity.cpu} CPUs and {instance.capacity.memory}.\n"
        f"{WARNING}\n\n"
        f"  export KUBECONFIG={shlex.quote(str(instance.kubeconfig_path))}\n\n"
        "Press Ctrl-C or send SIGTERM to stop it and delete its data."
    )


# --- background


def _detach(data: Path) -> None:
    """Start the same command in a new session, and wait until it is ready."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{data}: {error.strerror}; specify another --data") from error
    arguments = [part for part in sys.argv[sys.argv.index("up") :] if part != "--detach"]
    if not any(part.partition("=")[0] == "--data" for part in arguments):
        arguments += ["--data", str(data)]
    log = data / LOG_FILE
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - runs this program
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
    child.returncode = 0  # it keeps running: do not warn about an unreaped child
    click.echo(log.read_text().rpartition("\n\nPress Ctrl-C")[0])
    click.echo(f"\nThe sandbox runs in the background (PID {running.pid}). Stop it with")
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
@click.option("--data", type=_PATH, help="The --data directory of the sandbox.")
def down(data: Path | None) -> None:
    """Stop the background sandbox. Succeeds if none is running."""
    data = (data or default_data_dir()).expanduser().resolve()
    running = find_running(data)
    if running is None:
        click.echo("No sandbox is running.")
        if data.is_dir():
            _delete_files(data)
        return
    graceful = running.stop(within=STOP_SECONDS)
    _delete_files(data)
    outcome = (
        "Stopped the sandbox."
        if graceful
        else f"Killed the sandbox: it did not stop within {STOP_SECONDS:g} s."
    )
    click.echo(outcome)


def _delete_files(data: Path) -> None:
    """Delete a sandbox's files. Other files in the directory are kept."""
    remove_state_file(data)
    shutil.rmtree(data / "pods", ignore_errors=True)
    for name in (LOG_FILE, "kubeconfig"):
        (data / name).unlink(missing_ok=True)
    with suppress(OSError):
        data.rmdir()
