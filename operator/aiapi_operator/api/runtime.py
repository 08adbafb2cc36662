"""``spec.runtime``: where the runtime comes from, and which interpreter of the image runs it."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from aiapi_operator.api.model import Model
from aiapi_operator.api.rules import Rule

_PATH = r"^[^ \t\r\n]*$"

DEFAULT_PYTHON = "python3"
"""The interpreter that starts the launcher if spec.runtime.python is empty."""


class RuntimeSource(StrEnum):
    """Where the runtime comes from."""

    AUTO = "Auto"
    IMAGE = "Image"
    INJECTED = "Injected"


_Python = Annotated[
    str,
    Field(max_length=512),
    Rule(
        cel=f"self.matches(r'{_PATH}')",
        message="runtime.python must be the path or the name of an interpreter, without arguments,"
        " such as /opt/venv/bin/python",
        holds=lambda value: not any(space in value for space in " \t\r\n"),
    ),
]
_Argument = Annotated[str, Field(min_length=1, max_length=4096)]


class Runtime(Model):
    """How the runtime, which measures the app and runs its workers, gets into the pods."""

    source: RuntimeSource = RuntimeSource.AUTO
    """Auto injects the runtime into every image except the project's own. Injected always injects
    it. Image runs the aiapi-serve command that the image contains. If the image contains the
    runtime too, Auto and Injected use the newer one."""
    python: _Python | None = None
    """Path or name of the interpreter that has the app, such as /opt/venv/bin/python. By default,
    the launcher looks for it: VIRTUAL_ENV, .venv or venv in the working directory, CONDA_PREFIX,
    then PATH."""
    entrypoint: Annotated[
        tuple[_Argument, ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Entrypoint script of the image with its arguments, such as ["/entrypoint.sh"]. It runs before
    the interpreter, and must end by executing its arguments, as in exec "$@"."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.source != 'Image' || ((!has(self.python) || self.python == '')"
            " && (!has(self.entrypoint) || self.entrypoint.size() == 0))",
            message="runtime.python and runtime.entrypoint apply to an injected runtime: remove"
            " them, or set runtime.source to Auto or Injected",
            holds=lambda runtime: (
                runtime.source is not RuntimeSource.IMAGE
                or not (runtime.python or runtime.entrypoint)
            ),
        ),
    )
