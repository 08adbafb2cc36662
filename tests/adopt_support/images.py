"""Image directories that stand in for the images of adopted Deployments.

Each has the app under the name that its command asks for, and programs with the names of the
servers and wrappers, which serve on the pod's address instead of 0.0.0.0. The interpreter has no
packages, so the adopted pods run on nothing but the injected runtime.
"""

import json
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_ASGI = """
import os
BODY = os.environ["HOSTNAME"].encode()
async def APP_NAME(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": BODY})
"""
_WSGI = """
import os
def APP_NAME(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ["HOSTNAME"].encode()]
"""


def asgi(name: str) -> str:
    """An app of this name."""
    return _ASGI.replace("APP_NAME", name)


def factory(name: str) -> str:
    """A function of this name that returns an app."""
    return f"{asgi('_app')}\ndef {name}():\n    return _app\n"


def wsgi(name: str) -> str:
    """A WSGI app of this name."""
    return _WSGI.replace("APP_NAME", name)


SERVER = '''#!PYTHON
"""Serves like the server of its name, with the options that give the port."""
import os, re, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass

line = " ".join([*sys.argv[1:], os.environ.get("GUNICORN_CMD_ARGS", "")])
found = re.search(r"(?:--port|--bind|-b)[= ](?:\\S*:)?(\\d+)", line)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer.request_queue_size = 64
address = (os.environ["AIAPI_HOST"], int(found[1]) if found else 8000)
ThreadingHTTPServer(address, Handler).serve_forever()
'''
SERVERS = ("uvicorn", "gunicorn", "hypercorn", "granian", "fastapi")
RUN = '#!/bin/sh\nwhile [ "$1" = run ] || [ "$1" = -- ] ; do shift; done\nexec "$@"\n'
WRAPPERS = ("poetry", "tini", "uv", "dumb-init", "opentelemetry-instrument", "ddtrace-run")
OTHERS = {"alembic": "#!/bin/sh\nexit 0\n", "wait-for-end": "#!/bin/sh\nexec sleep 600\n"}


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """What an image has."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Text by path from the root of the image."""
    entrypoint: tuple[str, ...] = ()
    venv: str = ".venv"
    """Where its interpreter is."""


SIDECAR = StandIn(entrypoint=("wait-for-end",))


def environment(folder: Path) -> Path:
    """A virtual environment without packages, with the programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    programs = folder / "bin"
    server = SERVER.replace("PYTHON", str(programs / "python"))
    texts = dict.fromkeys(SERVERS, server) | dict.fromkeys(WRAPPERS, RUN) | OTHERS
    # Runs the stand-in for `python3.12 -m uvicorn`.
    texts["python3.12"] = (
        f'#!/bin/sh\ncase "$*" in *"-m uvicorn"*) exec {programs}/uvicorn "$@";; esac\n'
        f'exec {programs}/python "$@"\n'
    )
    for name, text in texts.items():
        write_program(programs / name, text)
    return folder


def write_program(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def build(folder: Path, images: Mapping[str, StandIn]) -> list[str]:
    """Make the directories. Returns NAME=DIR for each image."""
    venv = environment(folder / "environment")
    return [
        f"{name}={_build(folder / f'image-{at}', image, venv)}"
        for at, (name, image) in enumerate(images.items())
    ]


def _build(folder: Path, image: StandIn, venv: Path) -> Path:
    folder.mkdir()
    for place in {".venv", image.venv}:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).symlink_to(venv, target_is_directory=True)
    for path, text in image.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_program(file, text) if text.startswith("#!") else file.write_text(text)
    (folder / "image.json").write_text(json.dumps({"Entrypoint": image.entrypoint}))
    return folder
