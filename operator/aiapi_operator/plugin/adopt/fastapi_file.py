"""Finds the app that ``fastapi run FILE`` serves.

fastapi looks into the files: a module belongs to a package if its folder has an ``__init__.py``.
The files are in the image, so the usual layout is assumed and the comment says so.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from aiapi_operator.plugin.adopt.remarks import AdoptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFile:
    """The app in a file."""

    app: str
    folder: str = ""
    """The folder to import from; empty for the working directory."""
    note: str = ""


def find(text: str, attribute: str) -> AppFile:
    """The app in the file, as ``module:attribute``."""
    if not text or "$" in text:
        raise AdoptionError(
            "fastapi run searches the image for the app if the command names no file: name it with"
            " --app MODULE:ATTRIBUTE, as in --app app.main:app"
        )
    path = PurePosixPath(text)
    name = path.stem if path.suffix == ".py" else path.name
    package = [part for part in path.parent.parts if part not in (".", "/")]
    inner, folder = package, ""
    if path.is_absolute():
        # The last folder is taken for the package, and the one above it is imported from.
        inner, folder = package[-1:], f"/{'/'.join(package[:-1])}"
    module = ".".join([*inner, name])
    note = f"taken for the module {module}"
    if inner:
        note += (
            f", as if {'/'.join(package)} had an __init__.py; without one, set spec.app to"
            f" {name}:{attribute or 'app'} and AIAPI_APP_DIR to {path.parent}"
        )
    return AppFile(app=f"{module}:{attribute or 'app'}", folder=folder, note=note)
