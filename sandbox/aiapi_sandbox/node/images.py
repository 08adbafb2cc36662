"""The image store: maps image names to programs on this machine.

Images are never pulled. An image is a working directory, an environment and an entrypoint. The tag
of the project's own images is ignored, because only the installed version can run.

A directory with a virtual environment, `.venv` or `venv`, is an image with that interpreter and
those packages. Any other directory is an image with the interpreter and packages of the sandbox.
Its ENTRYPOINT and CMD are `Entrypoint` and `Cmd` in `image.json`, as in an image's configuration.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

SERVICE_IMAGE = "ghcr.io/aiapi-dev/service"
OPERATOR_IMAGE = "ghcr.io/aiapi-dev/operator"
CONFIG = "image.json"
VENVS = (".venv", "venv")
_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""PATH of most images."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """The defaults that a container gets from its image."""

    name: str
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    directory: Path | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    path: tuple[str, ...] | None = None
    """The directories of its programs; None for the PATH of the sandbox."""
    volume: Path | None = None
    """What a volume of this image shows; None where there is no such directory."""
    files: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    """Where paths of the image are on this machine."""


class InvalidImageNameError(Exception):
    """The reference is not a valid image name."""


class ImagePullError(Exception):
    """An image that the sandbox knows cannot be made."""


def repository(reference: str) -> str:
    """Return the reference without its tag and digest."""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


class ImageStore:
    """Finds images by the reference in a container's spec."""

    def __init__(self, images: Mapping[str, Path] | None = None) -> None:
        self._images = {
            SERVICE_IMAGE: Image(name=SERVICE_IMAGE, entrypoint=("aiapi-serve",)),
            OPERATOR_IMAGE: Image(name=OPERATOR_IMAGE, entrypoint=("aiapi-operator",)),
        }
        self._built: dict[str, Callable[[], Awaitable[Image]]] = {}
        for name, directory in (images or {}).items():
            self.add(name, directory)

    def add(self, reference: str, directory: Path) -> None:
        """Add an image with `directory` as its working directory and Python path."""
        resolved = directory.expanduser().resolve()
        if not resolved.is_dir():
            raise ValueError(f"image {reference}: {directory} is not a directory")
        self._images[reference] = _directory_image(reference, resolved)

    def add_built(self, name: str, build: Callable[[], Awaitable[Image]]) -> None:
        """Add an image that `build` makes when it is first needed. Another image takes its place
        if it was added under the same name."""
        self._built[name] = build

    async def find(self, reference: str) -> Image | None:
        """Return the image by its full reference, else by its repository; None when unknown.

        Raises InvalidImageNameError and ImagePullError.
        """
        if not reference or reference != reference.strip() or reference != reference.lower():
            self._reject_invalid_name(reference)
        found = self._images.get(reference) or self._images.get(repository(reference))
        if found is None and (build := self._built.get(repository(reference))):
            return await build()
        return found

    @staticmethod
    def _reject_invalid_name(reference: str) -> None:
        if repository(reference) != repository(reference).lower().strip() or not reference:
            raise InvalidImageNameError(
                f'Failed to apply default image tag "{reference}": couldn\'t parse image name '
                f'"{reference}": invalid reference format: repository name must be lowercase'
            )


def _directory_image(reference: str, directory: Path) -> Image:
    config = directory / CONFIG
    given = json.loads(config.read_text()) if config.is_file() else {"Entrypoint": ["aiapi-serve"]}
    image = Image(
        name=reference,
        entrypoint=tuple(given.get("Entrypoint") or ()),
        arguments=tuple(given.get("Cmd") or ()),
        directory=directory,
        volume=directory,
    )
    for name in VENVS:
        if (directory / name / "pyvenv.cfg").is_file():
            return replace(image, path=(str(directory / name / "bin"), *_SYSTEM_PATH))
    return replace(image, env={"PYTHONPATH": str(directory)})
