"""A folder in the place of an image: an app, a virtual environment, and an injected runtime."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime_support.pod import serve

from aiapi_runtime import bundle

APP = """
import json, os, subprocess, sys
{imports}

def facts():
    child = [sys.executable, "-c", "import sys; print(sys.path)"]
    return {{
        "python": sys.prefix,
        "path": sys.path,
        "child_path": subprocess.check_output(child, text=True),
        "python_path": os.environ.get("PYTHONPATH"),
        "traced": "sitecustomize_ran" in vars(sys),
        {facts}
    }}

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = json.dumps(facts()).encode() if scope["path"] == "/facts" else str(os.getpid()).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})
"""


@dataclass
class Image:
    root: Path

    @property
    def launcher(self) -> Path:
        return self.root / "aiapi" / "launch.py"

    @property
    def work(self) -> Path:
        return self.root / "work"

    def write_app(self, imports: str = "", facts: str = "", name: str = "main.py") -> None:
        (self.work / name).write_text(APP.format(imports=imports, facts=facts))

    def make_venv(self, name: str = ".venv") -> Path:
        """An environment without packages; returns its site-packages."""
        home = self.work / name
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
        (site,) = home.glob("lib/python*/site-packages")
        return site

    def start(self, python: str | Path = sys.executable) -> tuple[str, ...]:
        # As a symbolic link it would lose its environment.
        return str(python), str(self.launcher)

    @asynccontextmanager
    async def serve(
        self,
        *flags: str,
        python: str | Path,
        app: str = "main:app",
        entrypoint: Sequence[str] = (),
        **variables: str,
    ):
        given = {"AIAPI_APP_DIR": ".", "PYTHONPATH": "", **variables}
        start = (*entrypoint, *self.start(python))
        async with serve(self.root, *flags, app=app, start=start, cwd=self.work, **given) as pod:
            yield pod

    async def refusal(self, app: str, python: str | Path, **variables: str) -> tuple[int, str]:
        """The exit code, and the last line of the log."""
        process = await asyncio.create_subprocess_exec(
            *self.start(python),
            app,
            cwd=self.work,
            env={"PATH": os.defpath, **variables, "AIAPI_PORT": "0", "AIAPI_ADMIN_PORT": "0"},
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            _, log = await process.communicate()
        return process.returncode or 0, log.decode().strip().splitlines()[-1]


def make_image(root: Path, runtime: Path) -> Image:
    """An empty app directory, with a copy of the runtime."""
    (root / "work").mkdir()
    shutil.copytree(runtime, root / "aiapi")
    return Image(root)


def build_runtime(folder: Path) -> Path:
    bundle.build(folder)
    return folder


BASE_PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}"
"""The interpreter without the packages of the environment that runs the tests."""
