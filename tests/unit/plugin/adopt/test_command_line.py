"""Commands of containers: the app, the options, and what stands before the server."""

import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from aiapi_operator.plugin.adopt.command_line import Serving, read
from aiapi_operator.plugin.adopt.remarks import AdoptionError


def serving(line: str | list[str], env: Mapping[str, str] | None = None, **more: Any) -> Serving:
    return read(line if isinstance(line, list) else shlex.split(line), env or {}, **more)


APPS = {
    "uvicorn m:a": "m:a",
    "uvicorn --host 0.0.0.0 --port 80 pkg.sub.m:make.app --workers 2": "pkg.sub.m:make.app",
    "python -m uvicorn m:a": "m:a",
    "gunicorn -k uvicorn.workers.UvicornWorker m:a": "m:a",
    "gunicorn -w4 -b:80 'm:create()'": "m:create",
    "gunicorn m": "m:application",
    "hypercorn asgi:m:a --bind 0.0.0.0:80": "m:a",
    "hypercorn m": "m:app",
    "granian --interface asgi m:a": "m:a",
    "python3 -m granian m": "m:app",
    "fastapi run main.py": "main:app",
    "fastapi run app/main.py --app api": "app.main:api",
    "fastapi run --entrypoint app.main:api": "app.main:api",
    "fastapi dev": "",
    "/usr/bin/env uvicorn m:a": "m:a",
    "./start.sh": "",
    "python main.py": "",
    "python -m assistant": "",
    "nginx -g 'daemon off;'": "",
    "uvicorn": "",
    "uvicorn $APP": "",
    "sh -c 'uvicorn m:a | tee log'": "",
    "sh -c 'if [ \"$X\" ]; then uvicorn m:a; fi'": "",
    "sh -c 'uvicorn \"m:a'": "",
}


@pytest.mark.parametrize(("line", "app"), APPS.items())
def test_app(line: str, app: str) -> None:
    if app:
        assert serving(line).app == app
    else:
        with pytest.raises(AdoptionError, match="--app MODULE:ATTRIBUTE"):
            serving(line)


VARIABLES = {
    "uvicorn m:a --root-path=/api": {"AIAPI_ROOT_PATH": "/api"},
    "uvicorn m:a --log-config log.yaml --log-level trace": {
        "AIAPI_LOG_CONFIG": "log.yaml",
        "AIAPI_LOG_LEVEL": "debug",
    },
    "uvicorn m:a --limit-max-requests 500 --limit-concurrency 100": {
        "AIAPI_LIMIT_MAX_REQUESTS": "500",
        "AIAPI_LIMIT": "100",
    },
    "uvicorn m:a --forwarded-allow-ips '*' --app-dir src": {
        "AIAPI_FORWARDED_ALLOW_IPS": "*",
        "AIAPI_APP_DIR": "src",
    },
    "uvicorn m:a --timeout-keep-alive 30 --access-log": {
        "AIAPI_KEEP_ALIVE": "30",
        "AIAPI_ACCESS_LOG": "true",
    },
    "uvicorn m:a --timeout-keep-alive 0": {},
    "uvicorn m:a --interface wsgi": {"AIAPI_WSGI": "true"},
    "gunicorn m:a -k gevent --threads 8 --chdir /srv": {
        "AIAPI_WSGI": "true",
        "AIAPI_THREADS": "8",
        "AIAPI_APP_DIR": "/srv",
    },
    "gunicorn m:a -k uvicorn_worker.UvicornWorker --max-requests 0 --access-logfile -": {
        "AIAPI_ACCESS_LOG": "true"
    },
    "gunicorn m:a -e A=1 --env=B=2": {"A": "1", "B": "2"},
    "granian m:a --url-path-prefix /x --loop rloop": {"AIAPI_ROOT_PATH": "/x"},
    "python -u -W error -m uvicorn m:a": {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"},
    "fastapi run /code/app/main.py": {"AIAPI_APP_DIR": "/code"},
}


@pytest.mark.parametrize(("line", "variables"), VARIABLES.items())
def test_options_become_variables(line: str, variables: dict[str, str]) -> None:
    assert serving(line).variables == variables


ENTRYPOINTS: dict[str, tuple[str, ...]] = {
    "uvicorn m:a": (),
    "tini -- uvicorn m:a": ("tini", "--"),
    "/entrypoint.sh poetry run uvicorn m:a": ("/entrypoint.sh", "poetry", "run"),
    "sh -c 'exec uvicorn m:a'": (),
    "sh -c 'alembic upgrade head && uvicorn m:a'": (
        *("sh", "-c"),
        'alembic upgrade head && exec "$0" "$@"',
    ),
    "bash -lc 'source env; A=1 exec newrelic-admin run-program uvicorn m:a --root-path $P'": (
        *("bash", "-lc"),
        'source env; export AIAPI_ROOT_PATH="$P" && A=1 exec newrelic-admin run-program "$0" "$@"',
    ),
    "bash -o pipefail -ec 'echo \"a;b\" # uvicorn\nuvicorn m:a'": (
        *("bash", "-o", "pipefail", "-ec"),
        'echo "a;b" # uvicorn\nexec "$0" "$@"',
    ),
}


@pytest.mark.parametrize(("line", "entrypoint"), ENTRYPOINTS.items())
def test_what_stands_before_the_server_becomes_the_entrypoint(
    line: str, entrypoint: tuple[str, ...]
) -> None:
    found = serving(line)
    assert found.app == "m:a"
    assert found.entrypoint == entrypoint


PYTHONS = {
    "uvicorn m:a": "",
    "python3 -m uvicorn m:a": "",
    "python3.12 -m uvicorn m:a": "python3.12",
    "/opt/venv/bin/uvicorn m:a": "/opt/venv/bin/python",
    "/opt/venv/bin/python -m gunicorn m:a": "/opt/venv/bin/python",
    "/home/app/.local/bin/uvicorn m:a": "",
}


@pytest.mark.parametrize(("line", "python"), PYTHONS.items())
def test_the_interpreter(line: str, python: str) -> None:
    assert serving(line).python == python


def notes(found: Serving) -> dict[str, str]:
    return {note.word: note.reason for note in found.notes}


def test_every_word_without_a_variable_is_a_note() -> None:
    found = notes(
        serving(
            "gunicorn -c conf.py -w 3 --bind 0.0.0.0:80 --timeout 90 --certfile c --new thing m:a"
        )
    )
    assert "only gunicorn reads it" in found["--config conf.py"]
    assert found["--workers 3"] == "the operator sizes the workers within spec.workers"
    assert found["--bind 0.0.0.0:80"] == "the pod listens on port 8000"
    assert "is reported (EventLoopBlocked)" in found["--timeout 90"]
    assert "terminate TLS" in found["--certfile c"]
    assert "does not know" in found["--new"]
    assert "does not know" in found["thing"]


def test_numbers_of_workers() -> None:
    assert serving("uvicorn m:a --workers 4").workers == 4
    assert serving("gunicorn m:a -w2").workers == 2
    assert serving("uvicorn m:a").workers is None
    assert serving("sh -c 'uvicorn m:a --workers ${W:-3}'").workers == 3
    assert serving("sh -c 'uvicorn m:a --workers $W'", {"W": "5"}).workers == 5
    unknown = serving("sh -c 'uvicorn m:a --workers $W'")
    assert unknown.workers is None
    assert "assume 1" in notes(unknown)["--workers $W"]


def test_the_environment_of_the_server_is_read() -> None:
    env = {"UVICORN_ROOT_PATH": "/x", "UVICORN_WORKERS": "3", "UVICORN_RELOAD": "false"}
    found = serving("uvicorn m:a", env)
    assert (found.variables, found.workers) == ({"AIAPI_ROOT_PATH": "/x"}, 3)
    assert serving("uvicorn m:a --root-path /y", env).variables == {"AIAPI_ROOT_PATH": "/y"}
    found = serving("gunicorn m:a", {"GUNICORN_CMD_ARGS": "--threads 4 -w 2"})
    assert (found.variables, found.workers) == ({"AIAPI_THREADS": "4"}, 2)


def test_references_to_variables_are_expanded_or_kept() -> None:
    assert serving(["uvicorn", "$(APP)"], {"APP": "m:a"}).app == "m:a"
    kept = serving(["uvicorn", "m:a", "--root-path", "$(PREFIX)"])
    assert kept.variables == {"AIAPI_ROOT_PATH": "$(PREFIX)"}


def test_a_given_app_replaces_what_is_not_known() -> None:
    found = serving("/app/start.sh --fast", app="m:a")
    assert found.app == "m:a"
    assert "set runtime.entrypoint" in notes(found)["/app/start.sh --fast"]
    assert serving([], app="m:a").notes == ()
    assert serving("uvicorn other:app --workers 2", app="m:a").workers == 2


def test_the_entrypoint_runs_the_program_after_it_with_its_environment() -> None:
    line = "sh -c 'PREFIX=/api; export MODE=prod && STAGE=two exec uvicorn m:a --root-path $PREFIX'"
    program = ("sh", "-c", 'echo "$MODE $STAGE $AIAPI_ROOT_PATH $1"', "launch.py", "m:a")
    done = subprocess.run(
        [*serving(line).entrypoint, *program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "prod two /api m:a\n"


def test_the_entrypoint_does_not_go_on_after_a_failure() -> None:
    entrypoint = serving("sh -c 'false && exec uvicorn m:a --root-path $PREFIX'").entrypoint
    done = subprocess.run([*entrypoint, "echo", "served"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
