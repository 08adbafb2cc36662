"""The command of a container with an injected runtime: `python3 /aiapi/aiapi/launch.py module:app`.

Three processes start through it: the one that looks for the interpreter, the supervisor (the same
process where it has the right interpreter already), and the fork server.
"""

import os
import sys

from aiapi_runtime.launcher import abi, choice, environment, probe, versions
from aiapi_runtime.launcher.refusal import Refusal, report

_SERVE = "--serve"
_FORK_SERVER = "--fork-server"


def main(launcher: str, arguments: "list[str]") -> int:
    """Run one of the three; returns the exit code."""
    option = arguments[0] if arguments else ""
    try:
        if option == probe.OPTION:
            probe.print_answer(arguments[1])
            return 0
        if option == _FORK_SERVER:
            return _start_fork_server(launcher, arguments[1:])
        if option == _SERVE:
            return _serve(launcher, arguments[1:])
        return _start(launcher, arguments)
    except Refusal as refusal:
        return report(refusal)


def _start(launcher: str, arguments: "list[str]") -> int:
    app = arguments[0] if arguments else os.environ.get("AIAPI_APP", "")
    chosen = choice.choose(launcher, app, os.environ.get("AIAPI_APP_DIR") or ".")
    if chosen.path == sys.executable:
        return _serve(launcher, arguments)
    command = [chosen.path, launcher, _SERVE, *arguments]
    return os.execve(chosen.path, command, environment.for_own_process())


def _serve(launcher: str, arguments: "list[str]") -> int:
    in_image = versions.image_version()
    if in_image and not versions.is_newer(_own_version(launcher), in_image):
        return _serve_by_image(arguments)
    _begin(launcher)
    try:
        from aiapi_runtime.runtime.cli import main as serve  # noqa: PLC0415 - found since _begin
    except Exception as error:
        raise _conflict(error) from error
    serve(arguments, prog_name="aiapi-serve")
    return 0


def _serve_by_image(arguments: "list[str]") -> int:
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiapi_runtime"]:
        del sys.modules[name]
    from aiapi_runtime.runtime.cli import main as serve  # noqa: PLC0415 - the image's own

    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
    serve(arguments, prog_name="aiapi-serve")
    return 0


def _start_fork_server(launcher: str, arguments: "list[str]") -> int:
    _begin(launcher)
    try:
        from aiapi_runtime.runtime import fork_server, worker  # noqa: F401, PLC0415 - found since _begin
    except Exception as error:
        raise _conflict(error) from error
    return fork_server.main(arguments)


def _begin(launcher: str) -> None:
    home = os.path.dirname(launcher)
    folders = [os.path.join(home, "lib"), os.path.join(home, "abi", abi.folder_name())]
    sys.path[:0] = folders
    try:
        from aiapi_runtime.runtime import injection  # noqa: PLC0415 - needs Python 3.10
    except Exception as error:
        raise _conflict(error) from error
    injection.begin(launcher, folders, _own_version(launcher))


def _conflict(error: Exception) -> Refusal:
    return Refusal(
        "RuntimeConflict",
        f"the runtime cannot be loaded on {sys.executable}: {type(error).__name__}: {error}. A "
        "package that PYTHONPATH or sitecustomize loads first may be in its way; or install "
        "aiapi-runtime in the image and use spec.runtime.source Image",
    )


def _own_version(launcher: str) -> str:
    with open(os.path.join(os.path.dirname(launcher), "VERSION")) as file:
        return file.read().strip()
