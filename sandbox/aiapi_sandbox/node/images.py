"""The image store: maps image names to programs on this machine.

Images are never pulled. An image is a working directory, an environment and an entrypoint. The tag
of the project's own images is ignored, because only the installed version can run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

SERVICE_IMAGE = "ghcr.io/aiapi-dev/service"
OPERATOR_IMAGE = "ghcr.io/aiapi-dev/operator"


@dataclass(frozen=True, kw_only=True)
class Image:
    """The defaults that a container gets from its image."""

    name: str
    entrypoint: tuple[str, ...] = ()
    directory: Path | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class InvalidImageNameError(Exception):
    """The reference is not a valid image name."""


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
        for name, directory in (images or {}).items():
            self.add(name, directory)

    def add(self, reference: str, directory: Path) -> None:
        """Add an image with `directory` as its working directory and Python path."""
        resolved = directory.expanduser().resolve()
        if not resolved.is_dir():
            raise ValueError(f"image {reference}: {directory} is not a directory")
        self._images[reference] = Image(
            name=reference,
            entrypoint=("aiapi-serve",),
            directory=resolved,
            env={"PYTHONPATH": str(resolved)},
        )

    def find(self, reference: str) -> Image | None:
        """Return the image by its full reference, else by its repository; None when unknown."""
        if not reference or reference != reference.strip() or reference != reference.lower():
            self._reject_invalid_name(reference)
        return self._images.get(reference) or self._images.get(repository(reference))

    @staticmethod
    def _reject_invalid_name(reference: str) -> None:
        if repository(reference) != repository(reference).lower().strip() or not reference:
            raise InvalidImageNameError(
                f'Failed to apply default image tag "{reference}": couldn\'t parse image name '
                f'"{reference}": invalid reference format: repository name must be lowercase'
            )
