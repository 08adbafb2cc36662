"""The runtime image: made from the installed runtime when a pod first needs it.

A cluster pulls it from a registry. Here, a command of the runtime copies the installed packages
into the layout of that image.
"""

import asyncio
import shutil
import sys
from pathlib import Path

from aiapi_sandbox.node.images import Image, ImagePullError

RUNTIME_IMAGE = "ghcr.io/aiapi-dev/runtime"
BUILD = (sys.executable, "-m", "aiapi_runtime.bundle")
"""The command that builds the content; its last argument is the directory."""
_FILES = "aiapi"


class RuntimeImage:
    """Builds the image once, in a directory of the sandbox."""

    def __init__(self, folder: Path, *, build: tuple[str, ...] = BUILD) -> None:
        self._folder = folder
        self._build = build
        self._lock = asyncio.Lock()
        self._image: Image | None = None

    async def get(self) -> Image:
        """The image. Raises ImagePullError when it cannot be built."""
        async with self._lock:
            if self._image is None:
                await self._run_build()
                self._image = self._made()
            return self._image

    async def _run_build(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            *self._build,
            str(self._folder / _FILES),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode:
            lines = output.decode(errors="replace").strip().splitlines() or ["no output"]
            raise ImagePullError(f"the runtime image cannot be built: {lines[-1]}")

    def _made(self) -> Image:
        """As in the real image, the only program is cp."""
        programs = self._folder / "bin"
        programs.mkdir(exist_ok=True)
        if copy := shutil.which("cp"):
            (programs / "cp").unlink(missing_ok=True)
            (programs / "cp").symlink_to(copy)
        return Image(
            name=RUNTIME_IMAGE,
            path=(str(programs),),
            volume=self._folder,
            files={f"/{_FILES}": self._folder / _FILES},
        )
