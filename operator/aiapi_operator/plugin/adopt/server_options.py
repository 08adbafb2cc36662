"""The options of ASGI and WSGI servers, and the AIAPI_* variable that replaces each.

An option without a variable has a reason that becomes a comment.
"""

from collections.abc import Callable
from dataclasses import dataclass

Convert = Callable[[str], str | None]
WORKERS = "workers"
"""Stands for the number of worker processes, which has no variable."""
ENV = "env"
"""Stands for an environment variable given as NAME=VALUE."""

ADDRESS = "the pod listens on port 8000"
PROCESSES = "the runtime starts, watches and replaces the workers itself"
TLS = "the pod serves plain HTTP: terminate TLS in the ingress, the gateway or the mesh"
PROTOCOL = "the runtime chooses the protocol implementation"
LIMITS = "the limits of the runtime's HTTP parser apply"
GRACE = "podTemplate.spec.terminationGracePeriodSeconds is the time to finish requests"
DEVELOPMENT = "for development only"
LOG_FILES = "the runtime logs to standard error"
TIMEOUT = "a worker whose loop is blocked is reported (EventLoopBlocked) and not killed"


@dataclass(frozen=True, slots=True)
class Option:
    """One option in all its spellings."""

    names: str
    """Spellings, separated by blanks."""
    variable: str = ""
    why: str = ""
    """The reason when there is no variable, or its conversion has no result."""
    flag: str = ""
    """For an option without a value: the value that it stands for."""
    convert: Convert = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that a command can start."""

    name: str
    options: tuple[Option, ...]
    attribute: str = ""
    """The attribute of an app that is given as a module alone."""
    prefix: str = ""
    """Prefix of environment variables that set options."""
    arguments_variable: str = ""
    """Environment variable with more arguments."""


def _not(reason: str, *names: str) -> tuple[Option, ...]:
    return tuple(Option(each, why=reason) for each in names)


def _flags(reason: str, *names: str) -> tuple[Option, ...]:
    return tuple(Option(each, why=reason, flag="true") for each in names)


def _level(value: str) -> str | None:
    known = {"critical": "error", "warn": "warning", "trace": "debug"}
    level = known.get(value.lower(), value.lower())
    return level if level in ("debug", "info", "warning", "error") else None


def _positive(value: str) -> str | None:
    """A number above zero, or a variable; 0 switches an option off."""
    return value if "$" in value or value.strip("0.") else None


def _one_of(*values: str) -> Convert:
    return lambda value: value if value in values else None


def _to_console(value: str) -> str | None:
    return "true" if value in ("-", "/dev/stdout", "/dev/stderr") else None


def _is_wsgi(value: str) -> str | None:
    return "true" if value == "wsgi" else None


def _is_wsgi_worker(value: str) -> str | None:
    """Whether a worker class of gunicorn serves WSGI apps."""
    return None if "uvicorn" in value.lower() or value == "asgi" else "true"


_LEVEL = "the levels of the runtime are debug, info, warning and error"
_OFF = "0 has no counterpart: the default of the runtime applies"
_RECYCLE = Option("--limit-max-requests", "AIAPI_LIMIT_MAX_REQUESTS", _OFF, convert=_positive)

UVICORN = Server(
    name="uvicorn",
    prefix="UVICORN_",
    options=(
        Option("--workers", WORKERS),
        Option("--root-path", "AIAPI_ROOT_PATH"),
        Option("--log-config", "AIAPI_LOG_CONFIG"),
        Option("--log-level", "AIAPI_LOG_LEVEL", _LEVEL, convert=_level),
        Option("--access-log", "AIAPI_ACCESS_LOG", flag="true"),
        Option("--no-access-log", "AIAPI_ACCESS_LOG", flag="false"),
        Option("--forwarded-allow-ips", "AIAPI_FORWARDED_ALLOW_IPS"),
        Option("--app-dir", "AIAPI_APP_DIR"),
        Option("--loop", "AIAPI_LOOP", PROTOCOL, convert=_one_of("auto", "asyncio", "uvloop")),
        Option("--lifespan", "AIAPI_LIFESPAN", convert=_one_of("auto", "on", "off")),
        Option("--interface", "AIAPI_WSGI", PROTOCOL, convert=_is_wsgi),
        Option("--backlog", "AIAPI_BACKLOG"),
        Option("--limit-concurrency", "AIAPI_LIMIT", _OFF, convert=_positive),
        Option("--timeout-keep-alive", "AIAPI_KEEP_ALIVE", _OFF, convert=_positive),
        _RECYCLE,
        *_not(ADDRESS, "--host", "--port", "--uds", "--fd"),
        *_flags("X-Forwarded headers are used from AIAPI_FORWARDED_ALLOW_IPS", "--proxy-headers"),
        *_flags("set AIAPI_FORWARDED_ALLOW_IPS to trust no proxy", "--no-proxy-headers"),
        *_flags("the runtime calls an app that is a factory", "--factory"),
        *_not(PROTOCOL, "--http", "--ws"),
        *_not(LIMITS, "--ws-max-size", "--ws-max-queue", "--ws-ping-interval"),
        *_not(LIMITS, "--ws-ping-timeout", "--ws-per-message-deflate"),
        *_not(LIMITS, "--h11-max-incomplete-event-size"),
        *_not(GRACE, "--timeout-graceful-shutdown"),
        *_not("the runtime waits AIAPI_START_LIMIT", "--timeout-worker-healthcheck"),
        *_not("a worker is replaced at the exact number", "--limit-max-requests-jitter"),
        *_not("set the variables in spec.env", "--env-file"),
        *_not("add the header in a middleware of the app", "--header"),
        *_flags("the runtime's default applies", "--server-header", "--no-server-header"),
        *_flags("the runtime's default applies", "--date-header", "--no-date-header"),
        *_flags("logs of a pod have no colors", "--use-colors", "--no-use-colors"),
        *_flags(DEVELOPMENT, "--reload"),
        *_not(DEVELOPMENT, "--reload-dir", "--reload-include", "--reload-exclude"),
        *_not(DEVELOPMENT, "--reload-delay"),
        *_not(TLS, "--ssl-keyfile", "--ssl-certfile", "--ssl-keyfile-password"),
        *_not(TLS, "--ssl-version", "--ssl-cert-reqs", "--ssl-ca-certs", "--ssl-ciphers"),
    ),
)

_CONFIG_FILE = (
    "only gunicorn reads it: bind and workers are not needed; move other settings to AIAPI_*"
    " variables, and hooks to the app's lifespan"
)

GUNICORN = Server(
    name="gunicorn",
    attribute="application",
    arguments_variable="GUNICORN_CMD_ARGS",
    options=(
        Option("-w --workers", WORKERS),
        Option("-k --worker-class", "AIAPI_WSGI", PROCESSES, convert=_is_wsgi_worker),
        Option("--threads", "AIAPI_THREADS"),
        Option("--max-requests", "AIAPI_LIMIT_MAX_REQUESTS", _OFF, convert=_positive),
        Option("--keep-alive", "AIAPI_KEEP_ALIVE", _OFF, convert=_positive),
        Option("--forwarded-allow-ips", "AIAPI_FORWARDED_ALLOW_IPS"),
        Option("--chdir", "AIAPI_APP_DIR"),
        Option("--backlog", "AIAPI_BACKLOG"),
        Option("--log-level", "AIAPI_LOG_LEVEL", _LEVEL, convert=_level),
        Option("--access-logfile", "AIAPI_ACCESS_LOG", LOG_FILES, convert=_to_console),
        Option("-e --env", ENV),
        *_not(_CONFIG_FILE, "-c --config"),
        *_not(ADDRESS, "-b --bind"),
        *_not(TIMEOUT, "-t --timeout"),
        *_not(GRACE, "--graceful-timeout"),
        *_not("a worker is replaced at the exact number", "--max-requests-jitter"),
        *_not("spec.workers.maxConcurrency and AIAPI_LIMIT limit a worker", "--worker-connections"),
        *_not(PROCESSES, "--worker-tmp-dir", "-p --pid", "-u --user", "-g --group", "-m --umask"),
        *_not(PROCESSES, "-n --name"),
        *_flags("the runtime imports the app once where that is possible", "--preload"),
        *_flags(PROCESSES, "--reuse-port", "--no-sendfile", "-D --daemon"),
        *_not(LOG_FILES, "--error-logfile --log-file", "--access-logformat"),
        *_flags(LOG_FILES, "--capture-output", "-R --enable-stdio-inheritance"),
        *_not(
            "gunicorn reads another format: set AIAPI_LOG_CONFIG to a file for logging.config"
            ".dictConfig",
            "--log-config",
            "--log-config-json",
        ),
        *_not("the pod's own metrics replace it", "--statsd-host", "--statsd-prefix"),
        *_not("set PYTHONPATH in spec.env", "--pythonpath"),
        *_not(LIMITS, "--limit-request-line", "--limit-request-fields"),
        *_not(LIMITS, "--limit-request-field_size"),
        *_flags(DEVELOPMENT, "--reload"),
        *_not(TLS, "--certfile", "--keyfile", "--ca-certs"),
        *_not("set AIAPI_ROOT_PATH", "--root-path"),
        *_flags("the proxy protocol is not supported", "--proxy-protocol"),
    ),
)

HYPERCORN = Server(
    name="hypercorn",
    attribute="app",
    options=(
        Option("-w --workers", WORKERS),
        Option("--root-path", "AIAPI_ROOT_PATH"),
        Option("--log-level", "AIAPI_LOG_LEVEL", _LEVEL, convert=_level),
        Option("--log-config", "AIAPI_LOG_CONFIG"),
        Option("--backlog", "AIAPI_BACKLOG"),
        Option("--keep-alive", "AIAPI_KEEP_ALIVE", _OFF, convert=_positive),
        Option("--max-requests", "AIAPI_LIMIT_MAX_REQUESTS", _OFF, convert=_positive),
        Option("--access-logfile --access-log", "AIAPI_ACCESS_LOG", LOG_FILES, convert=_to_console),
        Option("-k --worker-class", "AIAPI_LOOP", "the runtime runs asyncio or uvloop",
               convert=_one_of("asyncio", "uvloop")),
        *_not(ADDRESS, "-b --bind", "--insecure-bind"),
        *_not("HTTP/3 is not supported", "--quic-bind"),
        *_not("only hypercorn reads it: move its settings to AIAPI_* variables", "-c --config"),
        *_not(GRACE, "--graceful-timeout"),
        *_not("a worker is replaced at the exact number", "--max-requests-jitter"),
        *_not(LOG_FILES, "--error-logfile --error-log", "--access-logformat"),
        *_not(LIMITS, "--websocket-ping-interval", "--h2-max-concurrent-streams"),
        *_not(PROCESSES, "-p --pid", "-u --user", "-g --group", "-m --umask"),
        *_not("the name comes with the Host header: restrict it in the app", "--server-name"),
        *_not("the pod's own metrics replace it", "--statsd-host", "--statsd-prefix"),
        *_flags(DEVELOPMENT, "--reload", "--debug"),
        *_not(TLS, "--certfile", "--keyfile", "--ca-certs", "--ciphers", "--verify-mode"),
    ),
)  # fmt: skip

GRANIAN = Server(
    name="granian",
    attribute="app",
    prefix="GRANIAN_",
    options=(
        Option("--workers", WORKERS),
        Option("--interface", "AIAPI_WSGI", "the runtime serves ASGI and WSGI", convert=_is_wsgi),
        Option("--url-path-prefix", "AIAPI_ROOT_PATH"),
        Option("--log-level", "AIAPI_LOG_LEVEL", _LEVEL, convert=_level),
        Option("--log-config", "AIAPI_LOG_CONFIG"),
        Option("--access-log", "AIAPI_ACCESS_LOG", flag="true"),
        Option("--no-access-log", "AIAPI_ACCESS_LOG", flag="false"),
        Option("--loop", "AIAPI_LOOP", "the runtime runs asyncio or uvloop",
               convert=_one_of("auto", "asyncio", "uvloop")),
        Option("--backlog", "AIAPI_BACKLOG"),
        Option("--working-dir", "AIAPI_APP_DIR"),
        *_not(ADDRESS, "--host", "--port", "--uds", "--http"),
        *_not(PROCESSES, "--runtime-mode", "--runtime-threads", "--runtime-blocking-threads"),
        *_not(PROCESSES, "--blocking-threads", "--blocking-threads-idle-timeout"),
        *_not(PROCESSES, "--workers-lifetime", "--workers-max-rss", "--pid-file", "--process-name"),
        *_flags(PROCESSES, "--respawn-failed-workers", "--no-respawn-failed-workers"),
        *_not("spec.workers.maxConcurrency and AIAPI_LIMIT limit a worker", "--backpressure"),
        *_not(GRACE, "--workers-kill-timeout"),
        *_not("serve static files from a CDN, an ingress or the app",
              "--static-path-mount", "--static-path-route", "--static-path-expires"),
        *_flags(PROTOCOL, "--ws", "--no-ws", "--http1-keep-alive", "--no-http1-keep-alive"),
        *_flags("the runtime calls an app that is a factory", "--factory"),
        *_flags("the runtime's default applies", "--log", "--no-log"),
        *_not(LOG_FILES, "--access-log-fmt"),
        *_flags(DEVELOPMENT, "--reload"),
        *_not(TLS, "--ssl-keyfile", "--ssl-certificate", "--ssl-keyfile-password"),
    ),
)  # fmt: skip

FASTAPI = Server(
    name="fastapi",
    options=(
        Option("--workers", WORKERS),
        Option("--root-path", "AIAPI_ROOT_PATH"),
        Option("--forwarded-allow-ips", "AIAPI_FORWARDED_ALLOW_IPS"),
        Option("--app", "attribute"),
        Option("-e --entrypoint", "app"),
        *_not(ADDRESS, "--host", "--port"),
        *_flags("X-Forwarded headers are used from AIAPI_FORWARDED_ALLOW_IPS", "--proxy-headers"),
        *_flags("set AIAPI_FORWARDED_ALLOW_IPS to trust no proxy", "--no-proxy-headers"),
        *_flags(DEVELOPMENT, "--reload", "--no-reload"),
    ),
)

SERVERS = {each.name: each for each in (UVICORN, GUNICORN, HYPERCORN, GRANIAN, FASTAPI)}
