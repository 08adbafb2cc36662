"""The catalogue of images: names that stand for programs already on this machine.

Nothing is ever pulled. An image is a working directory, an environment and an entrypoint; the tag
is not looked at for the project's own images, because only the installed version can run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

SERVICE_IMAGE = "ghcr.io/aiapi-dev/service"
OPERATOR_IMAGE = "ghcr.io/aiapi-dev/operator"


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a container of this image starts with."""

    name: str
    entrypoint: tuple[str, ...] = ()
    directory: Path | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class InvalidImageNameError(Exception):
    """The reference is not one that any registry could hold."""


def repository(reference: str) -> str:
    """Return the reference without tag and digest."""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


class ImageStore:
    """Look images up by the reference in a container's spec."""

    def __init__(self, images: Mapping[str, Path] | None = None) -> None:
        self._images = {
            SERVICE_IMAGE: Image(name=SERVICE_IMAGE, entrypoint=("aiapi-serve",)),
            OPERATOR_IMAGE: Image(name=OPERATOR_IMAGE, entrypoint=("aiapi-operator",)),
        }
        for name, directory in (images or {}).items():
            self.add(name, directory)

    def add(self, reference: str, directory: Path) -> None:
        """Add an image whose files (working directory and Python path) are `directory`."""
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
        """Return the image, by its whole reference first, then without its tag."""
        if not reference or reference != reference.strip() or reference != reference.lower():
            self._refuse_bad_name(reference)
        return self._images.get(reference) or self._images.get(repository(reference))

    @staticmethod
    def _refuse_bad_name(reference: str) -> None:
        if repository(reference) != repository(reference).lower().strip() or not reference:
            raise InvalidImageNameError(
                f'Failed to apply default image tag "{reference}": couldn\'t parse image name '
                f'"{reference}": invalid reference format: repository name must be lowercase'
            )
