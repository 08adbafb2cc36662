"""The command line of aiapi-serve: every option is an AIAPI_* variable too."""

import asyncio
import errno
import math
import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aiapi_runtime.runtime import bundled_app, logs
from aiapi_runtime.runtime.admin_routes import Token
from aiapi_runtime.runtime.admin_server import AdminPort
from aiapi_runtime.runtime.admin_tls import AdminTls
from aiapi_runtime.runtime.listener import bind, host_port
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.supervisor import Supervisor
from aiapi_runtime.telemetry import idleness

_APP = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_PORT = click.IntRange(0, 65535)


class _Seconds(click.FloatRange):
    """A range that excludes NaN, which is neither below nor above any bound."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


_SECONDS = _Seconds(min=0.0, max=86400.0)
_BOUND = _Seconds(min=0.05, max=86400.0)
# The heartbeat is every 0.1 s: below two of them every loop would seem blocked.
_BLOCKED = _Seconds(min=0.25, max=86400.0)
_BYTES = click.IntRange(1024, 2**30)
_COUNT = click.IntRange(1, 1024)
_Command = Callable[..., None]


def _check_app(_: click.Context, __: click.Parameter, value: str | None) -> str:
    if value is None:
        try:
            return bundled_app.default_app()
        except bundled_app.NoDefaultAppError as error:
            raise click.UsageError(
                f"missing argument APP (env var: 'AIAPI_APP'), as in assistant.main:app: {error}"
            ) from error
    if not _APP.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not module:attribute, as in assistant.main:app", param_hint="'APP'"
        )
    return value


def _check_limit(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value in ("off", "auto") or (value.isdecimal() and 0 < int(value) <= 65536):
        return value
    raise click.BadParameter(
        f"{value!r} is not off, auto or a number from 1 to 65536", ctx=ctx, param=param
    )


def _check_root_path(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value or (value.startswith("/") and not value.endswith("/") and value.isascii()):
        return value
    raise click.BadParameter(
        f"{value!r} is not a path such as /api, without a / at its end", ctx=ctx, param=param
    )


def _check_paths(ctx: click.Context, param: click.Parameter, value: str) -> str:
    for each in idleness.split_patterns(value):
        if not idleness.is_pattern(each):
            raise click.BadParameter(
                f"{each!r} is not a path such as /status or /internal/*", ctx=ctx, param=param
            )
    return value


def _check_file(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value and not Path(value).is_file():
        raise click.BadParameter(f"there is no file {value!r}", ctx=ctx, param=param)
    return value


def _option(flag: str, kind: Any, text: str, **more: Any) -> Callable[[_Command], _Command]:
    """An option with the name and default of a field of RuntimeSettings."""
    name = flag.partition("/")[0].removeprefix("--").replace("-", "_")
    return click.option(
        flag,
        name,
        type=kind,
        default=getattr(RuntimeSettings, name),
        show_default=True,
        envvar=f"AIAPI_{name.upper()}",
        show_envvar=True,
        help=text,
        **more,
    )


def _tls(folder: str) -> AdminTls:
    try:
        return AdminTls(folder)
    except OSError as error:
        raise click.BadParameter(
            f"tls.crt and tls.key in {folder} cannot be used: {error}",
            param_hint="'--admin-tls-dir'",
        ) from error


def _listen(host: str, port: int, option: str, backlog: int) -> socket.socket:
    try:
        return bind(host, port, backlog)
    except OSError as error:
        hint = f"; choose another with {option}" if error.errno == errno.EADDRINUSE else ""
        raise click.ClickException(
            f"cannot listen on {host_port(host, port)}: {error.strerror}{hint}"
        ) from error


@click.command(context_settings={"auto_envvar_prefix": "AIAPI", "max_content_width": 100})
@click.argument("app", envvar="AIAPI_APP", required=False, callback=_check_app)
@_option("--app-dir", click.Path(exists=True, file_okay=False), "Directory of the app's modules.")
@_option("--host", str, "Address to serve on.")
@_option("--port", _PORT, "Port to serve on; 0 picks a free one.")
@_option("--admin-host", str, "Address of the admin port; that of --host when empty.")
@_option("--admin-port", _PORT, "Port for probes, metrics and the worker count.")
@click.option(
    "--admin-token-file",
    envvar="AIAPI_ADMIN_TOKEN_FILE",
    show_envvar=True,
    type=click.Path(exists=True, dir_okay=False, readable=True),
    default=None,
    help="File with the bearer token; AIAPI_ADMIN_TOKEN is the token itself.",
)
@click.option(
    "--admin-tls-dir",
    envvar="AIAPI_ADMIN_TLS_DIR",
    show_envvar=True,
    type=click.Path(exists=True, file_okay=False),
    default=None,
    help="Directory with tls.crt and tls.key: the admin port serves TLS.",
)
@_option("--workers", _COUNT, "Workers to start with.")
@_option("--max-workers", _COUNT, "Maximum of PUT /workers.")
@_option("--backlog", click.IntRange(1, 65535), "Connections that may wait to be accepted.")
@_option("--keep-alive", _BOUND, "Time after which an idle connection is closed.")
@_option(
    "--max-head",
    _BYTES,
    "Bytes of the head of a request; a larger one is refused with 431.",
)
@_option(
    "--max-headers",
    click.IntRange(16, 65536),
    "Headers of a request; one with more is refused with 431.",
)
@_option("--head-timeout", _BOUND, "Time a client has to send the head of a request.")
@_option("--ws-max-size", _BYTES, "Bytes of a WebSocket message; a larger one ends it.")
@_option(
    "--limit-max-requests",
    click.IntRange(0, 2**31),
    "Requests after which a worker is replaced; 0: never.",
)
@_option("--root-path", str, "Path under which a proxy serves the app.", callback=_check_root_path)
@_option("--loop", click.Choice(["auto", "uvloop", "asyncio"]), "Event loop.")
@_option("--lifespan", click.Choice(["auto", "on", "off"]), "The app's lifespan protocol.")
@_option("--preload", click.Choice(["auto", "off"]), "Import the app once and fork workers.")
@_option(
    "--size-wait",
    _SECONDS,
    "Time to wait for the first PUT /workers before reporting ready.",
)
@_option("--drain-delay", _SECONDS, "Time to go on accepting connections after SIGTERM.")
@_option("--grace", _BOUND, "Time to finish after the drain delay.")
@_option("--idle-wait", _SECONDS, "Time an idle connection stays open while the pod ends.")
@_option("--leave-limit", _BOUND, "Time a departing worker has to finish open responses.")
@_option("--task-wait", _SECONDS, "Time a departing worker waits for background tasks.")
@_option("--start-limit", _BOUND, "Time a worker has to start.")
@_option("--blocked-after", _BLOCKED, "Time after which a loop that does not run is blocked.")
@_option(
    "--stuck-after",
    _BLOCKED,
    "Time after which a pod is neither ready nor live when all its loops are blocked.",
)
@_option("--wsgi/--no-wsgi", bool, "APP is a WSGI app, such as Flask's.")
@_option("--threads", _COUNT, "Threads per worker for a WSGI app.")
@click.option(
    "--limit",
    envvar="AIAPI_LIMIT",
    show_envvar=True,
    default=RuntimeSettings.limit,
    show_default=True,
    callback=_check_limit,
    metavar="off|auto|N",
    help="Open requests per worker; requests beyond it are refused with 503.",
)
@_option(
    "--idle-ignore-paths",
    str,
    "Paths, with commas between, whose requests are no use of the pod; a * at the end is any rest.",
    callback=_check_paths,
)
@_option("--upstream-tracking", click.Choice(["on", "off"]), "Time the app's calls to upstreams.")
@_option(
    "--prometheus-multiproc",
    click.Choice(["auto", "off"]),
    "Show the app's prometheus_client metrics of all workers.",
)
@_option("--forwarded-allow-ips", str, "Proxies whose X-Forwarded headers are trusted.")
@_option("--access-log/--no-access-log", bool, "Log each request.")
@_option("--log-level", click.Choice(["debug", "info", "warning", "error"]), "Log level.")
@_option("--log-format", click.Choice(["plain", "json"]), "Log format.")
@_option(
    "--log-config",
    str,
    "File with the workers' logging configuration: .json, .yaml, or else INI.",
    callback=_check_file,
)
def main(admin_token_file: str | None, admin_tls_dir: str | None, **options: Any) -> None:
    """Serve APP (module:attribute, ASGI or WSGI) with a number of workers that can change live.

    Without APP, serve the app that an installed package provides.
    """
    settings = RuntimeSettings(**options)
    if settings.workers > settings.max_workers:
        raise click.BadParameter(
            f"{settings.workers} is more than --max-workers {settings.max_workers}",
            param_hint="'--workers' (env var: 'AIAPI_WORKERS')",
        )
    token = Token(os.environ.get("AIAPI_ADMIN_TOKEN", ""), admin_token_file or "")
    if admin_token_file and not token.read():
        raise click.BadParameter("the file is empty", param_hint="'--admin-token-file'")
    tls = _tls(admin_tls_dir) if admin_tls_dir else None
    logs.set_up(settings.log_level, settings.log_format)
    listener = _listen(settings.host, settings.port, "--port", settings.backlog)
    host = settings.admin_host or settings.host
    admin = AdminPort(_listen(host, settings.admin_port, "--admin-port", 128), token, tls)
    sidecars = bundled_app.sidecars_of(settings.app, os.environ)
    supervisor = Supervisor(settings, listener=listener, admin=admin, sidecars=sidecars)
    sys.exit(asyncio.run(supervisor.run()))
